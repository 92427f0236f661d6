"""Retrained randomisation: verdicts on tiny networks, resuming, and what is refused."""

import json

import pytest
import torch
import yaml

from datamodules.shapes import Shapes
from explainers import FrozenClassifier
from explainers.cli import main

pytestmark = pytest.mark.filterwarnings("default")  # Lightning has some of its own

SIZE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights of a test_resnet that tells the quadrants of `Shapes` apart."""
    torch.manual_seed(0)
    frozen = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    model = frozen.model.requires_grad_(True).train()
    samples = Shapes(None, SIZE, seed=5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(40):
        batch = [samples[step * 16 + index] for index in range(16)]
        images = torch.stack([sample["image"] for sample in batch])
        labels = torch.stack([sample["label"] for sample in batch])
        loss = torch.nn.functional.cross_entropy(model(frozen.prepare(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3
    path = tmp_path_factory.mktemp("weights") / "shapes.pth"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture
def write_config(weights, tmp_path, monkeypatch):
    """Write a config of P-TAME on the tiny network, with changes to its `init_args`."""
    monkeypatch.setattr("sys.argv", ["explainers", "sanity", "--output", "out"])
    monkeypatch.chdir(tmp_path)

    def write(epochs=3, **changes):
        model = {
            "classifier": {"model": "test_resnet", "weights": str(weights)},
            "auxiliary": {"model": "test_convnext", "pretrained": False, "num_classes": 4},
            "lr": 0.01,
            "area_weight": 0.3,
        }
        data = {"length": 40, "size": SIZE, "batch_size": 8, "samples_per_epoch": 128}
        config = {
            "seed_everything": 0,
            "model": {"class_path": "explainers.PTAME", "init_args": model | changes},
            "data": {"class_path": "datamodules.ShapesDataModule", "init_args": data},
            "trainer": {
                "max_epochs": epochs,
                "accelerator": "cpu",
                "enable_progress_bar": False,
                "limit_val_batches": 0,
            },
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


def verdict(config, *options):
    assert main(["sanity", "--config", str(config), "--output", "out", *options]) == 0
    with open("out/sanity.json") as file:
        return json.load(file)


@pytest.mark.slow
def test_a_head_that_has_learned_from_its_classifier_passes(write_config, capsys):
    result = verdict(write_config())
    print(result["similarity_to_true"], result["heads"]["true"]["scores"])
    assert result["verdict"] == "pass"
    assert result["images"] == 40
