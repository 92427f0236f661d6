"""The maps of a data set: every image that has none is named, and the others are explained."""

import io
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

from datamodules.maps import Maps
from explainers import OptiCAM
from explainers.cli import main


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def explain(config, images, output, *more):
    arguments = ["explain", "--config", str(config), "--images", str(images)]
    return main([*arguments, "--output", str(output), *map(str, more)])


def test_map_that_is_no_number_is_named(config, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(OptiCAM, "attribute", lambda self, images, target: images[:, :1] / 0 * 0)
    assert explain(config, folder, tmp_path / "out") == 2
    printed = capsys.readouterr()
    assert "the map of" in printed.err
    assert "5 of 5 images were left out" in printed.err
    assert "0 maps in 0 shards" in printed.out


def header(width, height):
    """A PNG that promises pixels and has none."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A hundred files of all kinds, and which of them are images."""
    folder = tmp_path_factory.mktemp("mixed")
    deep = np.random.default_rng(0).integers(0, 2**16, (20, 30), dtype=np.uint16)
    rotated = Image.fromarray(noise(1, 20, 40, 3))
    exif = rotated.getexif()
    exif[0x112] = 6
    jpeg = io.BytesIO()
    rotated.save(jpeg, "JPEG")
    for index in range(10):
        Image.fromarray(noise(index, 30, 20, 4)).save(folder / f"alpha{index}.png")
        Image.fromarray(noise(index, 20, 20, 4), "CMYK").save(folder / f"cmyk{index}.jpg")
        Image.fromarray(deep).save(folder / f"deep{index}.png")
        Image.fromarray(noise(index, 20, 30)).save(folder / f"grey{index}.jpg")
        Image.fromarray(noise(index, 20, 30, 3)).quantize(16).save(folder / f"palette{index}.png")
        rotated.save(folder / f"rotated{index}.jpg", exif=exif)
        Image.fromarray(noise(index, 2, 400, 3)).save(folder / f"wide{index}.png")
        Image.fromarray(noise(index, 300, 1, 3)).save(folder / f"tall{index}.webp", lossless=True)
    good = {path.stem for path in folder.iterdir()}
    for index in range(5):
        (folder / f"corrupt{index}.jpg").write_bytes(jpeg.getvalue()[: 300 + 50 * index])
        (folder / f"text{index}.jpg").write_text("no image")
        (folder / f"empty{index}.png").write_bytes(b"")
        (folder / f"huge{index}.png").write_bytes(header(60_000, 60_000 + index))
    assert len(good) == 80
    return folder, good


@pytest.mark.slow
def test_every_image_of_a_mixed_folder_is_explained_and_every_bad_one_named(
    config, mixed, tmp_path, capsys
):
    folder, good = mixed
    assert explain(config, folder, tmp_path / "out") == 2
    printed = capsys.readouterr()
    errors = printed.err.strip().splitlines()
    assert errors[-1].startswith("error: 20 of 100 images were left out")
    for kind in ("corrupt", "text", "empty", "huge"):
        for index in range(5):
            assert sum(f"{kind}{index}." in line for line in errors) == 1
    maps = {sample["key"]: sample["map"] for sample in Maps(f"{tmp_path}/out/maps-*.tar")}
    assert maps.keys() == good
    assert maps["rotated0"].shape == (1, 40, 20)  # upright
    assert maps["wide0"].shape == (1, 2, 400)
    assert maps["tall9"].shape == (1, 300, 1)
    with tarfile.open(tmp_path / "out/maps-000000.tar") as tar:
        assert len(tar.getnames()) == 160


@pytest.mark.slow
def test_every_image_of_a_mixed_list_of_files_is_drawn_and_every_bad_one_named(
    config, mixed, tmp_path, capsys
):
    folder, good = mixed
    files = sorted(map(str, folder.iterdir()))
    arguments = ["explain", "--config", str(config), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--image", *files]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
    assert len(errors) == 20
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == good
    assert {path.stem for path in (tmp_path / "out").glob("*.npz")} == good
