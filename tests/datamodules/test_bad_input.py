"""What is bad is refused in one sentence that names the value and the rule, and leaves nothing."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import (
    FewShotDataModule,
    FolderDataModule,
    GalleryDataModule,
    PairsDataModule,
    ShapesDataModule,
    ShardsDataModule,
    ViewsDataModule,
)
from datamodules.errors import DataError, system_errors_named
from datamodules.pack import main
from datamodules.samples.image_source import image_source_of
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.index import index_of
from datamodules.shard_files.info import INFO
from datamodules.shard_files.tar_scan import scan_tar
from datamodules.shard_files.writing import ShardWriter
from datamodules.shards import Shards
from train import _reason

ROOT = Path(__file__).parents[2]
NAN = float("nan")


@pytest.fixture
def shard(tmp_path, jpeg, write_tar):
    """Six grey images."""
    (tmp_path / "data").mkdir()
    write_tar(tmp_path / "data/part-0.tar", [(f"s{i}.jpg", jpeg(20 * i)) for i in range(6)])
    return tmp_path / "data/part-0.tar"


@pytest.fixture
def photos(tmp_path, jpeg):
    """A folder of three images."""
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / f"photos/{number}.jpg").write_bytes(jpeg(20 * number))
    return tmp_path / "photos"


def keys(data):
    return [key for batch in data.val_dataloader() for key in batch["key"]]


SETTINGS = [
    ("size", 0, "size must be at least 1, got 0"),
    ("size", -3, "size must be at least 1, got -3"),
    ("size", 1.5, "size must be a whole number, got 1.5"),
    ("size", "x", "size must be a whole number, got 'x'"),
    ("size", 10**6, "size must be at most 16384, got 1000000"),
    ("resize", 16, "resize must be at least the size of the crop, 32, got 16"),
    ("resize", 10**9, "resize must be at most 16384"),
    ("crop_fraction", 0, r"crop_fraction must be in \(0, 1\], got 0"),
    ("crop_fraction", NAN, r"crop_fraction must be in \(0, 1\], got nan"),
    ("crop_fraction", 1.01, r"crop_fraction must be in \(0, 1\], got 1.01"),
    ("crop_fraction", 1e-9, "size 32 at crop_fraction 1e-09 needs images of over 16384 pixels"),
    ("scale", [0.5], r"scale must be two shares in \(0, 1\], least first, got \[0.5\]"),
    ("scale", [0.6, 0.5], r"got \[0.6, 0.5\]"),
    ("scale", [NAN, 1], r"got \[nan, 1\]"),
    ("scale", ["a", "b"], r"got \['a', 'b'\]"),
    ("scale", [0, 1], r"got \[0, 1\]"),
    ("interpolation", "cubic", "interpolation must be one of bilinear, bicubic.* got 'cubic'"),
    ("seed", -1, "seed must be at least 0, got -1"),
    ("seed", 2**32, "seed must be at most 4294967295, got 4294967296"),
    ("samples_per_epoch", 0, "samples_per_epoch must be at least 1, got 0"),
    ("batch_size", 0, "batch_size must be at least 1, got 0"),
    ("batch_size", True, "batch_size must be a whole number, got True"),
    ("num_workers", -1, "num_workers must be at least 0, got -1"),
    ("num_workers", 10**6, "num_workers must be at most 1024, got 1000000"),
    ("max_bad", -1, "max_bad must be at least 0, got -1"),
    ("crops", 0, "crops must be at least 1, got 0"),
    ("num_classes", 0, "num_classes must be at least 1, got 0"),
]


@pytest.mark.parametrize("kind", ["shards", "folder"])
@pytest.mark.parametrize(("name", "value", "message"), SETTINGS)
def test_a_setting_out_of_range_is_named_with_its_rule(
    kind, name, value, message, shard, photos, module
):
    small = {"size": 32, "resize": 36, "batch_size": 2, "num_workers": 0} | {name: value}
    folder = partial(FolderDataModule, *3 * [str(photos)])
    make = folder if kind == "folder" else partial(module, shard.parent)
    with pytest.raises(DataError, match=message):
        make(**small)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShapesDataModule(length=0), "length must be at least 1, got 0"),
        (lambda: ShapesDataModule(size=0), "size must be at least 1, got 0"),
        (lambda: ShapesDataModule(size=3), "size must be even .* got 3"),
        (lambda: PairsDataModule([]), r"test must name at least one shard, got \[\]"),
        (lambda: FewShotDataModule(shots=0), "shots must be at least 1, got 0"),
        (lambda: FewShotDataModule(queries=10**9), "queries must be at most 5000"),
        (lambda: GalleryDataModule([]), r"shards must name at least one shard, got \[\]"),
        (lambda: ViewsDataModule(""), "images must be the path of a file or folder, got ''"),
        (lambda: ViewsDataModule("."), "no image file in"),
    ],
)
def test_the_other_datamodules_refuse_as_much(make, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], r"{split} must name at least one shard, got \[\]"),
        ("", "{split} must be paths, globs or addresses of shards, got ''"),
        ([""], "{split} must be paths, globs"),
        (["a", 3], "{split} must be paths, globs or addresses of shards, got 3"),
        (None, "{split} must name at least one shard, got None"),
        (3, "{split} must name at least one shard, got 3"),
        ("a\0b", "{split} must be paths, globs"),
        ("{", "cannot be read as a list of shards .Unbalanced braces"),
        ("x-{0..99999999999}.tar", "99999999999 are more than 1000000 shards"),
        ("pipe: ", "cannot be read as a list of shards .no command after pipe:"),
        ("http://", "cannot be read as a list of shards .no server in the address"),
        ("http://[", "cannot be read as a list of shards .Invalid IPv6 URL"),
        ("text", "text is not a readable tar file .* or name another"),
        (".", "no shard at .* which is a folder; name those in it: "),
        ("empty.tar", "no sample in empty.tar"),
    ],
)
def test_a_source_that_is_none_is_named(split, source, message, shard, monkeypatch, write_tar):
    monkeypatch.chdir(shard.parent)
    Path("text").write_text("host\n")
    write_tar("empty.tar", [])
    index_of.cache_clear()
    splits = dict.fromkeys(("train", "val", "test"), "part-0.tar") | {split: source}
    with pytest.raises(DataError, match=message.format(split=split)):
        ShardsDataModule(**splits, num_workers=0)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], r"{split} must be the path of a file or folder, got \[\]"),
        ("", "{split} must be the path of a file or folder, got ''"),
        (None, "{split} must be the path of a file or folder, got None"),
        ("hollow", "no image in .*hollow"),
        ("0.jpg", "0.jpg is an image; name its folder"),
        ("binary", "binary is no list of images, as it is no text"),
        ("zeros", "zeros is no list of images, as it holds bytes of 0"),
        ("minus.txt", "the image '0.jpg' has the class b'-1', which is not a number"),
        ("huge.txt", "the image '0.jpg' has the class 9+, which is beyond 64 bits"),
        (
            "words.txt",
            "words.txt names .*some words.* which is not there; a list has a path a line",
        ),
    ],
)
def test_a_folder_that_is_none_is_named(split, source, message, photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos.parent / "good").mkdir()
    (photos.parent / "good/0.jpg").write_bytes((photos / "0.jpg").read_bytes())
    Path("hollow").mkdir()
    Path("binary").write_bytes(b"\xff\xfe\x80")
    Path("zeros").write_bytes(b"a\0b")
    Path("minus.txt").write_text("0.jpg -1\n")
    Path("huge.txt").write_text(f"0.jpg {'9' * 5000}\n")
    Path("words.txt").write_text("some words\n")
    splits = dict.fromkeys(("train", "val", "test"), "../good") | {split: source}
    with pytest.raises(DataError, match=message.format(split=split)):
        FolderDataModule(**splits, num_workers=0)


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


@pytest.mark.parametrize(
    "name",
    [
        *("../../evil", "a/b", "..", ".", "", "/tmp/evil", "a\\b", "a*", "[a]", "{a}", "pipe:a"),
        *("_info", "a\0b", "a\n", "x" * 101, " a", ".hidden"),
    ],
)
def test_a_split_is_a_plain_name(name, photos, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    output = tmp_path / "one/two"
    assert main(["--images", str(photos), "--output", str(output), "--split", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the name of the split, ")
    with pytest.raises(DataError, match="the name of the split"):
        ShardWriter(output, name, 10_000, {})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["train", "imagenet1k-train", "grün", "my photos (1)", "v1.0_a"])
def test_names_of_folders_are_plain_names(name, photos, tmp_path):
    arguments = ["--images", str(photos), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main([*arguments, "--split", name]) == 0
    assert len(Shards(f"{tmp_path}/out/{name}-*.tar", evaluation_transform(32, 1.0))) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "photos/0.jpg", "--output", "out"], "0.jpg is an image; name its folder"),
        (["--images", "", "--output", "out"], "argument --images: it must be the path"),
        (["--images", "photos", "--output", ""], "argument --output: it must be the path"),
        (["--images", "photos", "--output", "file"], "file (File exists); a folder is needed"),
        (["--images", "photos", "--output", "file/x"], "(Not a directory); a part of the path"),
        (["--images", "photos", "--output", "out", "--workers", "-1"], "'-1' is not a number of"),
        (["--images", "photos", "--output", "out", "--max-size", "0"], "'0' is not a size like"),
        (["--images", "photos", "--output", "out", "--seed", "-1"], "seed must be at least 0"),
        (["--images", "broken", "--output", "out"], "sample 'a.jpg' cannot be decoded"),
        (["--check", ""], "shards must be paths, globs or addresses of shards, got ''"),
        (["--check", "{"], "'{' cannot be read as a list of shards"),
    ],
)
def test_pack_refuses_in_one_line_and_leaves_nothing(
    arguments, message, photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("broken").mkdir()
    Path("broken/a.jpg").write_text("no image")
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_writer_that_fails_before_its_first_shard_leaves_nothing(tmp_path):
    def fail():
        with ShardWriter(tmp_path / "one/two", "maps", 10_000, {}) as writer:
            writer.add([("a", {"txt": b"x"})])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_writer_does_not_go_on_from_an_entry_that_is_not_its_own(tmp_path, shard, write_info):
    write_info(shard.parent, {"part": {shard.name: 6}})
    before = (shard.parent / INFO).read_bytes()
    with (
        pytest.raises(DataError, match="does not tell how far it came; choose another --output"),
        ShardWriter(shard.parent, "part", 10_000, {}),
    ):
        pass
    assert (shard.parent / INFO).read_bytes() == before


def test_errors_of_the_system_name_file_reason_and_way_out(tmp_path):
    with (
        pytest.raises(DataError, match=r"cannot use .*/x \(No such file or directory\); name one"),
        system_errors_named(tmp_path),
    ):
        (tmp_path / "x").read_bytes()
    with (
        pytest.raises(DataError, match=rf"cannot use {tmp_path} \(odd\); check the disk"),
        system_errors_named(tmp_path),
    ):
        raise OSError("odd")


def test_train_names_the_file_of_a_data_error_and_not_what_lies_beneath():
    error = DataError("a.tar is not a readable tar file")
    error.__cause__ = tarfile.ReadError("unexpected end of data")
    wrapped = RuntimeError("class_path cannot be instantiated")
    wrapped.__cause__ = error
    assert _reason(wrapped) == "a.tar is not a readable tar file"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--check", "--images"])
def test_ctrl_c_is_one_line_and_exit_code_130(command, tmp_path, jpeg):
    noise = np.random.default_rng(0).integers(0, 255, (600, 600))
    (tmp_path / "images").mkdir()
    for number in range(600):
        (tmp_path / f"images/{number}.jpg").write_bytes(jpeg(noise, (600, 600)))
    pack = ["--images", str(tmp_path / "images"), "--output", str(tmp_path / "out")]
    pack += ["--max-size", "20M", "--workers", "2"]
    if command == "--check":
        assert main(pack) == 0
        pack = ["--check", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "datamodules.pack", *pack],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 2:
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.split("\n", 1)[1] == "stopped; run the same command again to go on\n"


def picture(kind):
    """A picture that is easily read wrong, the pixels it stands for, and its EXIF orientation."""
    if kind == "16 bits":
        values = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
        return Image.fromarray(values), np.stack([values / 257] * 3, axis=-1), None
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    if kind == "transparent":
        opaque = np.broadcast_to(np.arange(32) >= 16, (32, 32))[..., None]
        glass = np.concatenate([pixels, 255 * opaque.astype(np.uint8)], axis=-1)
        return Image.fromarray(glass), np.where(opaque, pixels, 255), None
    return Image.fromarray(pixels), np.rot90(pixels, -1), 6


@pytest.mark.parametrize("kind", ["16 bits", "transparent", "rotated"])
def test_every_route_reads_the_same_pixels(kind, tmp_path, write_tar):
    image, expected, orientation = picture(kind)
    exif = image.getexif()
    if orientation:
        exif[0x0112] = orientation
    (tmp_path / "one").mkdir()
    image.save(tmp_path / "one/a.png", exif=exif)
    content = (tmp_path / "one/a.png").read_bytes()
    write_tar(tmp_path / "raw-0.tar", [("a.png", content)])
    assert main(["--images", f"{tmp_path}/one", "--output", f"{tmp_path}/packed"]) == 0
    whole = {"size": 32, "resize": 32, "crop_fraction": 1.0, "num_workers": 0, "batch_size": 1}
    modules = {
        "folder": FolderDataModule(*3 * [f"{tmp_path}/one"], **whole),
        "shards": ShardsDataModule(*3 * [f"{tmp_path}/raw-0.tar"], **whole),
        "packed": ShardsDataModule(*3 * [f"{tmp_path}/packed/one-*.tar"], **whole),
        "gallery": GalleryDataModule(f"{tmp_path}/one", size=32, crop_fraction=1.0),
    }
    for name, data in modules.items():
        data.setup("fit")
        read = data.val_set[0]["image"].permute(1, 2, 0).mul(255).round().numpy()
        assert np.abs(read - expected).max() <= 1, name
    for source in (f"{tmp_path}/one", f"{tmp_path}/raw-0.tar", f"{tmp_path}/packed"):
        assert image_source_of(source).read(0) == content
