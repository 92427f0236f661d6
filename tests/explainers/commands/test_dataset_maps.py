"""The maps of a data set: every image once, whatever it is."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image

from datamodules.maps import Maps
from datamodules.shards import Shards
from explainers import TAME
from explainers.bundle.untrained import load_untrained
from explainers.cli import main
from explainers.evaluation.costs import counted


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


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


def test_pictures_are_those_of_single_images(config, folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert explain(config, folder, output, "--pictures", "--batch-size", 2) == 0
    assert f"their pictures: {output}/pictures/*.png" in capsys.readouterr().out
    files = sorted(folder.rglob("*.png"))
    drawn = [output / "pictures" / f"{key}.png" for key in keys_of(output)]
    assert sorted(drawn) == sorted((output / "pictures").iterdir())
    for picture, one in zip(drawn, load_untrained(config).explain(files).pictures(), strict=True):
        with Image.open(picture) as found:
            theirs = torch.from_numpy(np.array(found)).permute(2, 0, 1) / 255
        torch.testing.assert_close(theirs, one, rtol=0, atol=1.5 / 255)


def test_pictures_of_images_with_one_key_are_all_kept(config, tmp_path):
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            Image.fromarray(noise(shard, 8, 8, 3)).save(tmp_path / "a.png")
            tar.add(tmp_path / "a.png", "a.png")
    assert explain(config, tmp_path / "{0..1}.tar", tmp_path / "out", "--pictures") == 0
    names = sorted(path.name for path in (tmp_path / "out/pictures").iterdir())
    assert names == ["a-000000.png", "a-000001.png"]


def test_pictures_of_a_crop_are_of_the_crop(config, folder, tmp_path):
    assert explain(config, folder, tmp_path / "out", "--pictures", "--crop") == 0
    explanation = load_untrained(config).explain(sorted(folder.rglob("*.png")), crop=True)
    for path, one in zip(
        sorted((tmp_path / "out/pictures").iterdir()), explanation.pictures(), strict=True
    ):
        with Image.open(path) as picture:
            assert picture.size == one.shape[:0:-1]


def test_pictures_of_single_images_need_no_option(config, folder, tmp_path, capsys):
    photo = next(iter(sorted(folder.rglob("*.png"))))
    chosen = ["explain", "--config", str(config), "--image", str(photo), "--pictures"]
    assert main([*chosen, "--output", str(tmp_path / "out")]) == 2
    assert "--image writes pictures by itself" in capsys.readouterr().err


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
        (["--output", "one.png"], "--output one.png is one figure; with --images, name a folder"),
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
