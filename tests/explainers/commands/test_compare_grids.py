"""Comparisons on mosaics: the explained class is that of the cell, and the images are known."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

import train
from explainers import FrozenClassifier
from explainers.cli import main
from explainers.commands.chosen_images import choose_images
from explainers.errors import InputError
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.from_config import build

# Lightning and jsonargparse warn of their own parts.
pytestmark = pytest.mark.filterwarnings("default")

COLOURS = {"a": (200, 0, 0), "b": (0, 200, 0), "c": (0, 0, 200), "d": (200, 200, 0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of four colours, in a folder each, and a network that tells the colours apart.

    Image `a/wrong.png` is of another colour than those of its folder.
    """
    place = tmp_path_factory.mktemp("colours")
    noise = np.random.default_rng(0)

    def write(path, colour):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 50, (32, 32, 3)) + np.array(colour)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        return pil_to_tensor(Image.open(path)) / 255

    images = [
        write(place / f"images/{name}/{number}.png", colour)
        for name, colour in COLOURS.items()
        for number in range(2)
    ]
    write(place / "images/a/wrong.png", COLOURS["b"])
    torch.manual_seed(0)
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    embeddings = classifier.embed(torch.stack(images)).flatten(1)
    logits = 20.0 * torch.eye(4).repeat_interleave(2, dim=0)
    last = classifier.model.get_classifier()
    last.weight.data = (torch.linalg.pinv(embeddings) @ logits).T
    last.bias.data.zero_()
    torch.save(classifier.model.state_dict(), place / "weights.pth")
    return place


@pytest.fixture
def config(folder):
    """A comparison on mosaics of these images."""
    images = str(folder / "images")
    sources = dict.fromkeys(("train", "val", "test"), images)
    inner = {
        "class_path": "datamodules.FolderDataModule",
        "init_args": sources
        | {"size": 32, "crop_fraction": 1.0, "batch_size": 4, "num_workers": 0},
    }
    grids = {"data": inner, "length": 3, "size": 64, "batch_size": 5}
    network = {"model": "test_resnet", "num_classes": 4, "weights": str(folder / "weights.pth")}
    return {
        "classifier": network,
        "data": {"class_path": "datamodules.GridsDataModule", "init_args": grids},
        "methods": {"opti_cam": {"class_path": "explainers.OptiCAM", "init_args": {"steps": 2}}},
        "metrics": ["grid_pointing", "pointing", "average_drop"],
        "panel_images": 2,
    }


def compare(config, folder):
    """Run the command; return its exit code."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    options = ["--config", str(folder / "config.yaml"), "--output", str(folder / "out")]
    return main(["compare", *options])


def records_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_cells_of_known_images_are_explained_for_their_own_class(config, tmp_path, capsys):
    assert compare(config, tmp_path) == 0
    printed = capsys.readouterr().out
    known = "8 of 9 images, of 4 classes, are known surely (probability of at least 0.5)"
    assert printed.startswith(known)
    assert "| grid pointing (chance 25.0) |" in printed
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["protocol"]["target"] == "the class of one cell of the mosaic"
    assert results["protocol"]["images"] == known
    assert results["protocol"]["chance"]["grid_pointing"] == 25
    assert results["protocol"]["data"] == config["data"]
    rows = {row["explainer"]: row for row in results["rows"]}
    assert all(row["images"] == 12 and not row["failed"] for row in rows.values())
    for name in UNINFORMATIVE:  # which ignore the class: the chance level, in each mosaic
        assert rows[name]["grid_pointing"] == pytest.approx(25, abs=1e-4)
        assert rows[name]["grid_pointing_interval"] == pytest.approx([25, 25], abs=1e-4)
    records = [
        one for one in records_of(tmp_path / "out/records.csv") if one["explainer"] == "ones"
    ]
    assert [one["key"] for one in records[:5]] == ["0000-0", "0000-1", "0000-2", "0000-3", "0001-0"]
    for mosaic in ("0000", "0001", "0002"):  # of four classes, each cell asks for another one
        targets = [one["target"] for one in records if one["group"] == mosaic]
        assert sorted(targets) == ["0", "1", "2", "3"]
    assert "grid pointing (chance 25.0)" in (tmp_path / "out/report.html").read_text()


def test_test_of_train_gives_the_figures_of_a_comparison(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py"])
    assert compare(config | {"map_normalisation": "answered"}, tmp_path) == 0
    capsys.readouterr()
    method = config["methods"]["opti_cam"]
    method = method | {"init_args": method["init_args"] | {"classifier": config["classifier"]}}
    trainer = {"accelerator": "cpu", "default_root_dir": str(tmp_path / "run"), "logger": False}
    described = {"model": method, "data": config["data"], "trainer": trainer}
    described["metrics"] = config["metrics"]
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(described))
    train.main(["test", "--config", str(tmp_path / "train.yaml")])
    printed = capsys.readouterr()
    assert "note: 8 of 9 images, of 4 classes, are known surely" in printed.err
    assert "| grid pointing (chance 25.0) |" in printed.out
    tested = records_of(tmp_path / "run/records.csv")
    compared = records_of(tmp_path / "out/records.csv")
    ours = [one for one in tested if one["explainer"] == "explainer"]
    theirs = [one for one in compared if one["explainer"] == "opti_cam"]
    assert [one | {"explainer": "opti_cam"} for one in ours] == theirs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"side": 3, "size": 66},
            "got 4; lower side or name images of more classes, or lower sure: 8 of 9 images",
        ),
        ({"side": 3}, "size must be divisible by side, 3, got 64; 63 is"),
        ({"data": {"class_path": "datamodules.ShapesDataModul"}}, "did you mean ShapesDataModule"),
        ({"data": {"class_path": "os.path.join"}}, "must be a class of explainers or datamodules"),
        ({"data": {"class_path": "explainers.PTAME"}}, "is no subclass of ImageDataModule"),
        (
            {"data": {"class_path": "datamodules.ShapesDataModule", "init_args": {"length": "x"}}},
            "length must be int, got 'x'",
        ),
        ({"data": "photos"}, "data must be datamodules.base.ImageDataModule, got 'photos'"),
    ],
)
def test_what_cannot_be_used_is_one_line(config, tmp_path, capsys, change, message):
    grids = config["data"]["init_args"] | change
    assert compare(config | {"data": config["data"] | {"init_args": grids}}, tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_classifier_without_classes_is_refused(config):
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=0)
    data = build(config["data"], object)
    with pytest.raises(InputError, match="has no classes, and GridsDataModule chooses images by"):
        choose_images(data, classifier)
