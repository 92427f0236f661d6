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

TWO_LENGTHS = json.dumps(
    {
        "splits": {
            "train": {"filenames": ["a"], "shard_lengths": [6]},
            "val": {"filenames": ["a"], "shard_lengths": [5]},
        }
    }
)


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
        ("{", "no JSON: Expecting property name"),
        ("[" * 100_000, "no JSON: "),
        ("{}", "no 'splits', an object with an entry for each split"),
        ("[]", "no 'splits'"),
        ('{"splits": []}', "no 'splits'"),
        ('{"splits": {"train": 3}}', "split 'train': 3 is no object"),
        ('{"splits": {"train": {"filenames": []}}}', "split 'train': shard_lengths is no list"),
        (
            '{"splits": {"train": {"filenames": ["a"], "shard_lengths": []}}}',
            "split 'train': 1 filenames and 0 ",
        ),
        *(
            (
                f'{{"splits": {{"train": {{"filenames": ["a"], "shard_lengths": [{length}]}}}}}}',
                f"split 'train': {shown} is no number of samples",
            )
            for length, shown in {
                '"x"': "'x'",
                '"6"': "'6'",
                "-1": "-1",
                "6.5": r"6\.5",
                "1e400": "inf",
                "true": "True",
                "null": "None",
                str(2**41): str(2**41),
            }.items()
        ),
        *(
            (
                f'{{"splits": {{"train": {{"filenames": [{name}], "shard_lengths": [6]}}}}}}',
                f"split 'train': {shown} is no file name in this folder",
            )
            for name, shown in {
                '"../a.tar"': r"'\.\./a\.tar'",
                '"/a.tar"': r"'/a\.tar'",
                '""': "''",
                '["a.tar"]': r"\['a\.tar'\]",
                "7": "7",
            }.items()
        ),
        (
            '{"splits": {"train": {"filenames": ["a", "a"], "shard_lengths": [6, 6]}}}',
            "split 'train': filenames names a shard twice",
        ),
        (
            TWO_LENGTHS,
            "split 'val': 'a' has another length in another split",
        ),
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
