import json

import pytest

from datamodules.errors import DataError
from datamodules.shard_files.fetching import Shard
from datamodules.shard_files.info import (
    lengths_of,
    parse_info,
    read_info,
    recorded_lengths,
    write_info,
)

TIMM = {
    "name": "set",
    "splits": {
        "train": {"alt_label": "x", "filenames": ["a.tar", "b.tar"], "shard_lengths": [2, 3]},
        "val": {"name": "val", "num_samples": 4, "filenames": ["c.tar"], "shard_lengths": [4]},
    },
}


def test_entries_of_others_are_kept_when_a_split_is_added(tmp_path):
    (tmp_path / "_info.json").write_text(json.dumps(TIMM))
    info = read_info(tmp_path)
    info["splits"]["test"] = {"name": "test", "filenames": [], "shard_lengths": []}
    write_info(tmp_path, info)
    written = json.loads((tmp_path / "_info.json").read_text())
    added = written["splits"].pop("test")
    assert added == {"name": "test", "filenames": [], "shard_lengths": []}
    assert json.dumps(written) == json.dumps(TIMM)  # in the same order, too


def test_lengths_are_those_of_all_splits_by_the_name_of_the_shard(tmp_path):
    (tmp_path / "_info.json").write_text(json.dumps(TIMM))
    shards = [Shard(str(tmp_path / f"{name}.tar")) for name in "bcad"]
    assert list(recorded_lengths(shards)) == [3, 4, 2, None]
    assert lengths_of(parse_info(json.dumps(TIMM))["splits"]["train"]) == {"a.tar": 2, "b.tar": 3}


def test_a_folder_without_an_info_has_no_splits(tmp_path):
    assert read_info(tmp_path) == {"splits": {}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("{}", "KeyError: 'splits'"),
        ('{"splits": {"train": {"filenames": []}}}', "KeyError: 'shard_lengths'"),
        ('{"splits": {"train": {"filenames": ["a"], "shard_lengths": []}}}', "ValueError: zip"),
        ('{"splits": {"train": {"filenames": ["a"], "shard_lengths": ["x"]}}}', "ValueError: inv"),
    ],
)
def test_every_reader_says_the_same_of_an_info_that_cannot_be_used(tmp_path, text, reason):
    (tmp_path / "_info.json").write_text(text)
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_info(text)
    with pytest.raises(DataError, match=rf"_info.json has no splits to add to \({reason}"):
        read_info(tmp_path)
    with pytest.raises(DataError, match=rf"not give filenames .* of splits \({reason}"):
        list(recorded_lengths([Shard(str(tmp_path / "a.tar"))]))
