"""Image files and tar files, made and damaged by hand."""

import io
import json
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image
from webdataset import TarWriter

from datamodules import ShardsDataModule
from datamodules.pack import main
from datamodules.shard_files.index import expected_members, index_of


def _jpeg(value, size=(48, 40)):
    """A grey image as a file; its value is a number or an array (h w)."""
    buffer = io.BytesIO()
    pixels = np.broadcast_to(np.asarray(value, dtype=np.uint8), size[::-1])
    Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _write_tar(path, members):
    with tarfile.open(path, "w") as shard:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            shard.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="session")
def jpeg():
    return _jpeg


@pytest.fixture(scope="session")
def png():
    return _png


@pytest.fixture(scope="session")
def bomb():
    """A PNG file of under 1 KB whose header promises 400 million pixels."""
    content = bytearray(_png(np.zeros((8, 8), np.uint8)))
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.fixture(scope="session")
def write_tar():
    """Write a tar file of names and contents."""
    return _write_tar


@pytest.fixture(scope="session")
def module():
    """Set up `ShardsDataModule` for the shards of a folder, `part-*.tar`."""

    def make(folder, **options):
        shards = str(folder / "part-*.tar")
        settings = {"size": 32, "resize": 36, "batch_size": 4, "num_workers": 0, "together": 2}
        data = ShardsDataModule(shards, shards, shards, **(settings | options))
        data.setup("fit")
        return data

    return make


@pytest.fixture(scope="session")
def labels_of():
    """The labels of all batches of a loader, in order."""
    return lambda loader: [label for batch in loader for label in batch["label"].tolist()]


@pytest.fixture
def class_folder(tmp_path):
    """Classes of 1, 2 and 3 grey images, one of them in a folder below."""
    for label, name in enumerate(("ant", "bee", "cat")):
        place = tmp_path / "images" / name
        (place / "below").mkdir(parents=True)
        for image in range(label + 1):
            grey = Image.new("RGB", (20, 16), (40 * label + image,) * 3)
            grey.save((place / "below" if image == 2 else place) / f"{name}{image}.png")
    (tmp_path / "images/ant/notes.txt").write_text("no image")
    return tmp_path / "images"


def _write_labelled(path, labels):
    """Grey images, the brighter the higher their label; None leaves the label out."""
    with TarWriter(str(path)) as tar:
        for index, label in enumerate(labels):
            image = Image.new("RGB", (20, 16), (40 * (label or 0),) * 3)
            sample = {"__key__": f"{index:04d}", "jpg": image}
            tar.write(sample if label is None else sample | {"cls": label})


@pytest.fixture(scope="session")
def write_labelled():
    """Write a shard of grey images with these labels."""
    return _write_labelled


def _write_info(folder, splits):
    entries = {
        name: {
            "num_samples": sum(lengths.values()),
            "filenames": list(lengths),
            "shard_lengths": list(lengths.values()),
        }
        for name, lengths in splits.items()
    }
    (folder / "_info.json").write_text(json.dumps({"splits": entries}))


@pytest.fixture(scope="session")
def write_info():
    """Write the `_info.json` of splits: the length of each shard, by its name."""
    return _write_info


@pytest.fixture(autouse=True)
def _fresh_index():
    """Forget the shards of other tests, which may have had the same paths."""
    index_of.cache_clear()
    expected_members.cache_clear()


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


@pytest.fixture
def folder(tmp_path, jpeg):
    """Three classes of five images each, with noise in them, so that none is like another."""
    noise = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog", "fox")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = noise.integers(60 * label, 60 * label + 50, (40, 48))
            (tmp_path / "images" / name / f"{number}.JPEG").write_bytes(jpeg(pixels))
    return tmp_path / "images"


def _run(folder, *options):
    """Pack in this process's children; return the exit code and the output folder."""
    output = folder.parent / "shards"
    arguments = ["--images", str(folder), "--output", str(output), "--max-size", "20K"]
    return main([*arguments, "--workers", "2", *options]), output


@pytest.fixture(scope="session")
def run():
    """Pack a folder of images into shards beside it."""
    return _run
