"""The maps of a data set: every image once, whatever it is and whenever the run was stopped."""

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import webdataset
from PIL import Image

from datamodules.maps import Maps
from datamodules.shards import Shards
from explainers import TAME, OptiCAM
from explainers.bundle.from_config import load_untrained
from explainers.cli import main
from explainers.evaluation.costs import counted


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config of a method without training, on the same random weights in every run."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("config")
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), folder / "w.pth")
    path = folder / "config.yaml"
    path.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 1\n"
        f"    classifier: {{model: test_resnet, num_classes: 4, weights: {folder / 'w.pth'}}}\n"
    )
    return path


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five photographs of different sizes, in two folders."""
    for index in range(5):
        path = tmp_path / "photos" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(index, 20 + index, 30, 3)).save(path)
    return tmp_path / "photos"


def explain(config, images, output, *more):
    arguments = ["explain", "--config", str(config), "--images", str(images)]
    return main([*arguments, "--output", str(output), *map(str, more)])


def keys_of(output):
    return [sample["key"] for sample in Maps(str(output / "maps-*.tar"))]


@pytest.mark.parametrize("precision", ["uint8", "float16"])
def test_maps_are_those_of_single_images(config, folder, tmp_path, precision, capsys):
    output = tmp_path / "out"
    assert explain(config, folder, output, "--precision", precision, "--batch-size", 2) == 0
    assert "5 maps in 1 shards" in capsys.readouterr().out
    files = sorted(folder.rglob("*.png"))
    explanations = load_untrained(config).explain(files)
    tolerance = {"uint8": 0.5 / 255, "float16": 2**-12}[precision] + 1e-5
    for sample, file, one in zip(Maps(f"{output}/maps-*.tar"), files, explanations, strict=True):
        torch.testing.assert_close(sample["map"], one.map_list[0], atol=tolerance, rtol=0)
        assert sample["source"] == str(file)
        assert sample["target"] == int(one.target)
        assert sample["caption"] == f"class {int(one.target)}"
        assert sample["probability"] == pytest.approx(float(one.probabilities), rel=1e-4)
    split = json.loads((output / "_info.json").read_text())["splits"]["maps"]
    assert split["num_samples"] == 5
    assert split["filenames"] == ["maps-000000.tar"]
    assert split["shard_lengths"] == [5]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its tar files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_the_maps(config, folder, tmp_path):
    explain(config, folder, tmp_path / "out")
    maps = Maps(str(tmp_path / "out/maps-*.tar"))
    shard = str(tmp_path / "out/maps-000000.tar")
    theirs = list(webdataset.WebDataset(shard, shardshuffle=False).decode("l"))
    for sample, ours in zip(theirs, maps, strict=True):
        np.testing.assert_allclose(sample["map.png"], ours["map"][0], atol=1e-6)
        assert sample["json"]["target"] == ours["target"]


def test_shards_of_images_are_explained_in_their_order(config, tmp_path):
    for number in range(2):
        with webdataset.TarWriter(str(tmp_path / f"in-{number:06d}.tar")) as tar:
            for key in ("x", "y"):  # the same in both
                tar.write({"__key__": key, "jpg": noise(number, 20, 30, 3), "cls": 1})
    with webdataset.TarWriter(str(tmp_path / "in-000002.tar")) as tar:
        tar.write({"__key__": "text", "txt": "no image"})
        tar.write({"__key__": "n/a", "png": noise(4, 40, 30, 3)})
    output = tmp_path / "out"
    assert explain(config, tmp_path / "in-{000000..000002}.tar", output, "--workers", 2) == 2
    assert keys_of(output) == ["x", "y", "x-2", "y-2", "n/a"]
    samples = list(Maps(str(output / "maps-000000.tar")))
    assert samples[2]["source"] == f"{tmp_path / 'in-000001.tar'}::x"
    assert samples[4]["map"].shape == (1, 40, 30)
    (left_out,) = json.loads((output / "_info.json").read_text())["splits"]["maps"][
        "left_out"
    ].items()
    assert left_out[0].endswith("in-000002.tar::text")
    assert "has no jpg or other image, only txt" in left_out[1]


def test_rotated_photograph_gives_the_map_of_the_upright_one(config, rotated, tmp_path):
    assert explain(config, rotated[0].parent, tmp_path / "out") == 0
    one, two = Maps(f"{tmp_path}/out/maps-*.tar")
    assert (one["key"], two["key"]) == ("rotated", "upright")
    assert one["map"].shape == (1, 60, 40)
    assert torch.equal(one["map"], two["map"])
    assert one["probability"] == two["probability"]


@pytest.mark.parametrize("more", [[], ["--target", "3"]])
def test_head_on_the_classifiers_own_features_takes_one_pass_an_image(
    folder, tmp_path, monkeypatch, more
):
    tame = TAME({"model": "test_resnet", "pretrained": False, "num_classes": 4}).eval()
    monkeypatch.setattr("explainers.commands.explain.chosen", lambda arguments: tame)
    with counted(tame.classifier) as passes:
        assert explain("unread.yaml", folder, tmp_path / "out", "--batch-size", 2, *more) == 0
    assert passes == [5]
    (expected,) = tame.explain(min(folder.rglob("*.png")), 3 if more else None)
    first = Maps(f"{tmp_path}/out/maps-*.tar")[0]
    torch.testing.assert_close(first["map"], expected.map_list[0], atol=0.5 / 255 + 1e-5, rtol=0)
    assert first["target"] == int(expected.target)
    assert first["probability"] == pytest.approx(float(expected.probabilities), rel=1e-4)


def test_target_is_the_same_for_all(config, folder, tmp_path):
    assert explain(config, folder, tmp_path / "out", "--target", 3) == 0
    assert {sample["target"] for sample in Maps(f"{tmp_path}/out/maps-*.tar")} == {3}


def test_crop_is_explained_as_the_model_is_evaluated(config, folder, tmp_path):
    assert explain(config, folder, tmp_path / "out", "--crop") == 0
    size = load_untrained(config).classifier.size
    assert {tuple(one["map"].shape) for one in Maps(f"{tmp_path}/out/maps-*.tar")} == {(1, *size)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--target", "4"], "target 4 is outside the classes"),
        (["--uncertainty"], "--uncertainty is for single images"),
        (["--images", "nowhere"], "no folder or list of images at"),
        (["--images", "nowhere.tar"], "no shard at"),
        (["--images", "one.png"], "--images one.png is one image; give it as --image one.png"),
        (["--images", "hollow"], "no image in"),
        (["--images", "binary"], "binary is no list of images, as it is no text"),
        (["--images", "empty.tar"], "no sample in empty.tar"),
        (["--images", "text.tar"], "text.tar is not a readable tar file"),
        (["--output", "one.png"], "--output one.png is a file; name a folder"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    config, folder, tmp_path, more, message, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("hollow").mkdir()
    Path("binary").write_bytes(b"\xff\xfe\x80")
    Path("text.tar").write_text("no tar file")
    Path("one.png").write_bytes((folder / "a/0.png").read_bytes())
    tarfile.open("empty.tar", "w").close()
    before = sorted(tmp_path.rglob("*"))
    assert explain(config, folder, tmp_path / "out", *more) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--workers", "-1"], "'-1' is not a number of processes, from 0 to 1024"),
        (["--workers", "2000"], "'2000' is not a number of processes"),
        (["--batch-size", "0"], "'0' is not a number of at least 1"),
        (["--max-size", "0"], "'0' is not a size like 256M"),
    ],
)
def test_numbers_out_of_range_are_refused_and_leave_nothing(
    config, folder, tmp_path, more, message, capsys
):
    with pytest.raises(SystemExit) as stop:
        explain(config, folder, tmp_path / "out", *more)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [SystemError, KeyboardInterrupt])
def test_stopped_run_goes_on(config, folder, tmp_path, error, monkeypatch, capsys):
    """Killed, only whole shards are there; by Ctrl-C, the one that was begun is too."""
    output = tmp_path / "out"
    options = ["--batch-size", "1", "--max-size", "10K", "--precision", "float16"]
    explained = []
    attribute = OptiCAM.attribute

    def stopping(self, images, target):
        explained.append(len(images))
        if len(explained) == 4:
            raise error("stop")
        return attribute(self, images, target)

    monkeypatch.setattr(OptiCAM, "attribute", stopping)
    if error is KeyboardInterrupt:
        assert explain(config, folder, output, *options) == 130
        assert "run the same command again" in capsys.readouterr().err
    else:
        with pytest.raises(error):
            explain(config, folder, output, *options)
    done = {SystemError: 2, KeyboardInterrupt: 3}[error]
    assert len(keys_of(output)) == done
    assert not list(output.glob("*.part"))
    assert explain(config, folder, output, *options) == 0
    assert len(explained) == 4 + 5 - done
    assert keys_of(output) == ["a_0", "a_2", "a_4", "b_1", "b_3"]
    assert explain(config, folder, output, *options) == 0
    assert len(explained) == 4 + 5 - done


def test_half_of_a_shard_that_a_killed_run_left_is_written_anew(config, folder, tmp_path):
    output = tmp_path / "out"
    explain(config, folder, output)
    info = json.loads((output / "_info.json").read_text())
    info["splits"]["maps"] |= {"filenames": [], "shard_lengths": [], "position": 0}
    (output / "_info.json").write_text(json.dumps(info))
    (output / "maps-000000.tar").write_bytes(b"not noted as done")
    (output / "maps-000000.tar.part").write_bytes(b"half")
    assert explain(config, folder, output) == 0
    assert len(keys_of(output)) == 5
    assert not list(output.glob("*.part"))


def test_maps_of_something_else_are_not_added_to(config, folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert explain(config, folder, output) == 0
    assert explain(config, folder, output, "--target", 2) == 2
    assert "target was None, and is 2" in capsys.readouterr().err
    (output / "maps-000000.tar").unlink()
    assert explain(config, folder, output) == 2
    assert "is not there with the 5 samples" in capsys.readouterr().err
    (output / "_info.json").unlink()
    (output / "maps-000000.tar").write_bytes(b"")
    assert explain(config, folder, output) == 2
    assert "is of another run" in capsys.readouterr().err


def test_map_that_is_no_number_is_named(config, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(OptiCAM, "attribute", lambda self, images, target: images[:, :1] / 0 * 0)
    assert explain(config, folder, tmp_path / "out") == 2
    printed = capsys.readouterr()
    assert "the map of" in printed.err
    assert "5 of 5 images were left out" in printed.err
    assert "0 maps in 0 shards" in printed.out


def test_maps_lie_beside_the_shards_of_their_images(config, folder, tmp_path):
    """The `_info.json` of both names both."""
    with webdataset.TarWriter(str(tmp_path / "val-000000.tar")) as tar:
        tar.write({"__key__": "x", "jpg": noise(0, 20, 30, 3)})
    length = {"name": "val", "num_samples": 1, "filenames": ["val-000000.tar"]}
    info = {"splits": {"val": length | {"shard_lengths": [1]}}}
    (tmp_path / "_info.json").write_text(json.dumps(info))
    assert explain(config, tmp_path / "val-*.tar", tmp_path) == 0
    splits = json.loads((tmp_path / "_info.json").read_text())["splits"]
    assert splits["val"] == info["splits"]["val"]
    assert len(Shards(str(tmp_path / "val-*.tar"), None)) == len(keys_of(tmp_path)) == 1


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
