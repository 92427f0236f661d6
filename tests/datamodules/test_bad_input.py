"""Settings and sources out of range are refused with the value and the rule."""

import tarfile
from functools import partial
from pathlib import Path

import pytest

from datamodules import (
    FewShotDataModule,
    FolderDataModule,
    GalleryDataModule,
    PairsDataModule,
    ShapesDataModule,
    ShardsDataModule,
    ViewsDataModule,
)
from datamodules.errors import DataError
from datamodules.shard_files.index import index_of
from explainers.commands.training_cli import reason_of

NAN = float("nan")


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


def test_train_names_the_file_of_a_data_error_and_not_what_lies_beneath():
    error = DataError("a.tar is not a readable tar file")
    error.__cause__ = tarfile.ReadError("unexpected end of data")
    wrapped = RuntimeError("class_path cannot be instantiated")
    wrapped.__cause__ = error
    assert reason_of(wrapped) == "a.tar is not a readable tar file"
