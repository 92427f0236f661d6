"""Comparisons by references and by tasks, and every config of a comparison."""

import csv
import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from webdataset import TarWriter

from explainers.cli import main
from explainers.evaluation.uninformative import UNINFORMATIVE

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("compare_*.yaml"))

PAIRS = """
classifier: {model: test_vit, pretrained: false, num_classes: 4}
data: {class_path: datamodules.PairsDataModule, init_args: {test: SHARD, size: 64, batch_size: 4}}
methods:
  fam: {class_path: explainers.FAM}
  grad_cam: {class_path: explainers.SimilarityGradCAM}
  activation_map: {class_path: explainers.ActivationMap}
  opti_cam: {class_path: explainers.OptiCAM, init_args: {steps: 2}}
  cdam: {class_path: explainers.CDAM}
metrics: [energy_pointing, energy_on_other, right_object, similarity_kept_50]
panel_images: 2
"""


@pytest.fixture
def pairs(tmp_path):
    """A shard of three images of noise, with an object on the left and another on the right."""
    noise = np.random.default_rng(0)
    masks = np.zeros((2, 32, 40), dtype=np.uint8)
    masks[0, :, :15] = masks[1, :, 20:] = 255
    with TarWriter(str(tmp_path / "pairs.tar")) as tar:
        for key in ("x", "y", "z"):
            image, first, second = noise.integers(0, 255, (3, 32, 40, 3), dtype=np.uint8)
            tar.write(
                {
                    "__key__": key,
                    "jpg": image,
                    "mask_a.png": masks[0],
                    "mask_b.png": masks[1],
                    "ref_a.jpg": first,
                    "ref_b.jpg": second,
                }
            )
    return tmp_path / "pairs.tar"


def test_references_are_compared_by_each_methods_own_embedding(pairs, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(PAIRS.replace("SHARD", str(pairs)))
    output = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(output)]
    assert main(["compare", *arguments]) == 0
    results = json.loads((output / "results.json").read_text())
    assert "reference" in results["protocol"]["target"]
    rows = {row["explainer"]: row for row in results["rows"]}
    assert all(row["images"] == 6 for row in rows.values())
    assert rows["ones"]["similarity_kept_50"] < 100  # half the pixels are black
    for blind in ("activation_map", "centre_gaussian"):
        # Asked for both objects, it is right once an image: the interval of the mean is a point.
        assert rows[blind]["right_object"] == 50
        assert rows[blind]["right_object_interval"] == [50, 50]
    with (output / "records.csv").open() as file:
        records = list(csv.DictReader(file))
    assert [record["group"] for record in records[:6]] == ["x", "x", "y", "y", "z", "z"]
    assert {record["target"] for record in records} == {"reference"}


def test_metrics_of_classes_are_refused_for_references(pairs, tmp_path, capsys):
    text = PAIRS.replace("SHARD", str(pairs)).replace("[energy_pointing,", "[average_drop,")
    (tmp_path / "config.yaml").write_text(text)
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    assert "average_drop asks for the probability of a class" in capsys.readouterr().err


TASK = """
classifier: {model: test_resnet, pretrained: false, num_classes: 4}
data: {class_path: datamodules.TASK, init_args: {images: FOLDER, size: 64, batch_size: 4, MORE}}
methods:
  fam: {class_path: explainers.FAM}
metrics: [similarity_kept_15, similarity_insertion, similarity_deletion]
panel_images: 2
"""


@pytest.fixture
def classes(tmp_path):
    """A folder of two classes, red and blue, of two images of noise each."""
    noise = np.random.default_rng(0)
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for index in range(2):
            image = noise.integers(0, 50, (32, 32, 3)) + np.array(colour)
            path = tmp_path / f"classes/{name}/{index}.png"
            Image.fromarray(image.astype(np.uint8)).save(path)
    return tmp_path / "classes"


@pytest.mark.parametrize(
    ("task", "more", "images"),
    [
        ("FewShotDataModule", "ways: 2, shots: 1, queries: 1, episodes: 2", 4),
        ("ViewsDataModule", "seed: 1", 4),
        ("GalleryDataModule", "seed: 1", 4),
    ],
)
def test_tasks_are_scored_and_their_matches_counted(classes, tmp_path, capsys, task, more, images):
    text = TASK.replace("TASK", task).replace("FOLDER", str(classes)).replace("MORE", more)
    if task == "GalleryDataModule":
        text += "references: nearest\n"
    (tmp_path / "config.yaml").write_text(text)
    output = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(output)]
    assert main(["compare", *arguments]) == 0
    results = json.loads((output / "results.json").read_text())
    assert results["references"]["images"] == images
    low, high = results["references"]["accuracy_interval"]
    accuracy = results["references"]["accuracy"]
    assert 0 <= low <= accuracy <= high <= 100
    if task != "ViewsDataModule":  # red and blue are told apart; a jittered image from others not
        assert accuracy == 100
    assert f"own class for {accuracy:.1f} %" in capsys.readouterr().out
    for row in results["rows"]:
        assert row["failed"] == []
        assert row["images"] == images
        assert math.isfinite(row["similarity_insertion"])
        assert row["similarity_insertion_interval"]
    assert (output / "panel.png").is_file()


def test_references_of_a_config_are_nearest_or_nothing(classes, tmp_path, capsys):
    text = TASK.replace("TASK", "GalleryDataModule").replace("FOLDER", str(classes))
    (tmp_path / "config.yaml").write_text(text.replace("MORE", "seed: 1") + "references: far\n")
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    assert "references must be nearest, or left out, got 'far'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "pytorch_grad_cam", "captum")),
    reason="needs the packages of the extras demo and compare",
)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_a_comparison_is_accepted(config, pairs, tmp_path, built):
    described = yaml.safe_load(config.read_text())
    source = described["classifier"]
    source = {"model": source} if isinstance(source, str) else source
    if not source["model"].startswith("package:"):  # the hub is out of reach
        described["classifier"] = source | {"pretrained": False}
        described["classifier"].pop("weights", None)  # a user's own
    images = str(pairs)
    if described["data"]["class_path"].endswith("FolderDataModule"):
        images = str(tmp_path / "photos")
        (tmp_path / "photos").mkdir()
        Image.new("RGB", (250, 250)).save(tmp_path / "photos/one.png")
    for split in {"train", "val", "test"} & described["data"]["init_args"].keys():
        described["data"]["init_args"][split] = images
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    comparison = built(tmp_path)
    assert list(comparison.methods) == [*described["methods"], *UNINFORMATIVE]
    json.dumps(comparison.protocol)
