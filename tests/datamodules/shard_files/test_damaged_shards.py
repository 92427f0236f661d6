"""Damaged shards, duplicate keys and bad labels: named, and never fewer samples without a word."""

import io
import tarfile

import pytest

from datamodules.errors import DataError
from datamodules.pack import main
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.tar_scan import scan_tar
from datamodules.shards import Shards


@pytest.fixture
def shard(tmp_path, jpeg, write_tar):
    """Six grey images."""
    (tmp_path / "data").mkdir()
    write_tar(tmp_path / "data/part-0.tar", [(f"s{i}.jpg", jpeg(20 * i)) for i in range(6)])
    return tmp_path / "data/part-0.tar"


def keys(data):
    return [key for batch in data.val_dataloader() for key in batch["key"]]


def header_at(content, number):
    """Offset of the header of a member of an archive."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getmembers()[number].offset


def with_size(size):
    """The header of `s3.jpg`, of this size and with a valid checksum."""
    header = bytearray(tarfile.TarInfo("s3.jpg").tobuf())
    header[124:136] = (size % 256**12).to_bytes(12, "big")
    header[124] |= 0x80
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("first", ["plain", "pax"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b"\0" * 512, "data behind the end of the archive, which is at byte"),
        (b"x" * 512, "header at byte"),
        (with_size(-16), "member 's3.jpg' has a negative size, -16"),
        (with_size(-(2**70)), "member 's3.jpg' has a negative size"),
        (with_size(2**70), "unexpected end of data in member 's3.jpg'"),
    ],
)
def test_a_damaged_header_in_the_middle_of_a_shard_stops_the_run(
    recorded, first, damage, reason, shard, module, write_info, jpeg, write_tar
):
    if first == "pax":  # a long name, which tarfile reads
        members = [("n" * 200 + ".jpg", jpeg(0)), *((f"s{i}.jpg", jpeg(0)) for i in range(1, 6))]
        write_tar(shard, members)
    content = bytearray(shard.read_bytes())
    offset = header_at(content, 3)
    content[offset : offset + 512] = damage
    shard.write_bytes(content)
    if recorded:
        write_info(shard.parent, {"part": {shard.name: 6}})
    with pytest.raises(DataError, match=rf"part-0.tar is not a readable tar file \(.*{reason}"):
        keys(module(shard.parent))


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<html>" * 300])
def test_what_is_no_archive_is_no_empty_one(content, shard, module):
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"part-0\.tar is not a readable tar file"):
        module(shard.parent)


def test_two_archives_in_one_file_are_not_half_read(shard, module):
    shard.write_bytes(2 * shard.read_bytes())
    with pytest.raises(DataError, match="data behind the end of the archive"):
        module(shard.parent)


def test_names_of_no_encoding_can_be_printed(shard, write_tar, jpeg, capsys):
    write_tar(shard, [("a.jpg", jpeg(0)), ("b.jpg", jpeg(0))])
    content = bytearray(shard.read_bytes())
    offset = header_at(content, 1)
    content[offset] = 0xFF
    with_sum = content[offset : offset + 512]
    with_sum[148:156] = b" " * 8
    content[offset + 148 : offset + 156] = b"%06o\0 " % sum(with_sum)
    shard.write_bytes(content)
    assert [name for name, _, _ in scan_tar(shard)] == ["a.jpg", r"\xff.jpg"]
    assert [sample["key"] for sample in Shards(str(shard), evaluation_transform(32, 1.0))] == [
        "a",
        r"\xff",
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_duplicate_keys_are_read_with_one_warning(
    workers, shard, jpeg, write_tar, module, caplog, write_info
):
    write_tar(shard, [(f"{key}.jpg", jpeg(0)) for key in "abacb"])
    data = module(shard.parent, batch_size=1, num_workers=workers)
    batches = list(data.val_dataloader())
    assert sorted(key for batch in batches for key in batch["key"]) == ["a", "a", "b", "b", "c"]
    assert all(batch.keys() == {"image", "key"} for batch in batches)
    assert len(list(data.train_dataloader())) == 5
    (message,) = [record.getMessage() for record in caplog.records]
    assert "part-0.tar: sample 'a' is there more than once" in message
    assert not data.unreadable.found


def test_a_key_in_two_splits_is_no_fault_and_twice_in_one_is(
    shard, jpeg, write_tar, write_info, capsys
):
    folder = shard.parent
    shard.unlink()
    contents = {"train-0": "ab", "train-1": "cd", "val-0": "abc"}
    for name, names in contents.items():
        write_tar(folder / f"{name}.tar", [(f"{key}.jpg", jpeg(0)) for key in names])
    assert main(["--check", str(folder), "--workers", "1"]) == 2
    assert "is not there; without it" in capsys.readouterr().out.splitlines()[1]
    splits = {"train": {"train-0.tar": 2, "train-1.tar": 2}, "val": {"val-0.tar": 3}}
    write_info(folder, splits)
    assert main(["--check", str(folder), "--workers", "1"]) == 0
    write_info(folder, {"all": splits["train"] | splits["val"]})
    capsys.readouterr()
    assert main(["--check", str(folder), "--workers", "1"]) == 2
    assert "val-0.tar: sample 'c' is there 2 times" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["-1", "cat", "1.5", "", "9" * 30, str(2**63), "9" * 5000, "\N{DIGIT ONE}\u0661"]
)
def test_a_label_that_is_none_is_refused_by_key(text, shard, jpeg, write_tar, module, caplog):
    write_tar(shard, [("a.jpg", jpeg(0)), ("a.cls", text.encode()), *labelled("b", jpeg, 1)])
    assert keys(module(shard.parent)) == ["b"]
    assert "sample 'a' has the class" in caplog.text


def labelled(key, jpeg, label):
    return [(f"{key}.jpg", jpeg(0)), (f"{key}.cls", str(label).encode())]


def test_the_highest_label_is_that_of_int64(shard, jpeg, write_tar, module):
    write_tar(shard, labelled("a", jpeg, 2**63 - 1))
    (batch,) = module(shard.parent).val_dataloader()
    assert batch["label"].tolist() == [2**63 - 1]


def test_labels_beyond_the_classes_are_refused_by_key(shard, jpeg, write_tar, module, caplog):
    write_tar(shard, labelled("a", jpeg, 9) + labelled("b", jpeg, 10))
    assert keys(module(shard.parent)) == ["a", "b"]
    assert keys(module(shard.parent, num_classes=10)) == ["a"]
    assert "sample 'b' has the class 10, and num_classes is 10" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("world", [1, 3])
def test_an_evaluation_of_nothing_is_an_error(
    workers, world, shard, write_tar, module, monkeypatch
):
    write_tar(shard, [(f"{key}.jpg", b"") for key in "ab"])
    message = "none of the 2 samples of this split can be read, so there is nothing to evaluate; "
    for rank in range(world):
        monkeypatch.setattr("datamodules.base._process", lambda rank=rank: (rank, world))
        data = module(shard.parent, num_workers=workers, max_bad=10)
        with pytest.raises(DataError, match=f"{message}the last: .*sample 'b' has a jpg that is"):
            list(data.val_dataloader())
