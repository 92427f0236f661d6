"""Retrained randomisation: verdicts on tiny networks, resuming, and what is refused."""

import json
import os
import signal

import pytest
import torch
import yaml
from PIL import Image

from datamodules.shapes import Shapes
from explainers import PTAME, FrozenClassifier, load_explainer
from explainers.cli import main
from explainers.commands import paired_fits

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
        data = {"length": 100, "size": SIZE, "batch_size": 8, "samples_per_epoch": 128}
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
def test_a_head_that_has_learned_from_its_classifier_passes(write_config):
    result = verdict(write_config())
    assert result["verdict"] == "pass"
    assert result["images"] == 100
    assert Image.open("out/panel.png").size[0] > 3 * SIZE
    bundles = [load_explainer(f"out/{name}/bundle") for name in ("true", "randomised")]
    first, second = (bundle.fingerprints() for bundle in bundles)
    assert first["classifier"] != second["classifier"]
    assert first["network.backbone"] == second["network.backbone"]


@pytest.mark.slow
def test_a_head_that_ignores_its_classifier_fails_and_is_not_trained_again(
    write_config, monkeypatch, refused, capsys
):
    config = write_config(1, classification_weight=0.0)
    assert verdict(config)["verdict"] == "fail"
    monkeypatch.setattr(paired_fits.train, "main", None)
    again = verdict(config, "--bound", "1")
    assert again["bound"] == 1
    capsys.readouterr()
    line = refused(
        capsys, "sanity", "--config", write_config(2, classification_weight=0.0), "--output", "out"
    )
    assert "config.trainer.max_epochs 1, and here it is 2; set it as before" in line


@pytest.mark.slow
def test_an_interrupted_fit_says_how_to_go_on_and_goes_on(write_config, monkeypatch, capsys):
    step = PTAME.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    config = write_config(1)
    with monkeypatch.context() as patch:
        patch.setattr(PTAME, "training_step", interrupted)
        with pytest.raises(SystemExit) as stop:
            main(["sanity", "--config", str(config), "--output", "out"])
    assert stop.value.code == 130
    assert f"go on with explainers sanity --config {config} --output out" in capsys.readouterr().out
    steps = []
    monkeypatch.setattr(
        PTAME, "training_step", lambda self, *a: (steps.append(self.global_step), step(self, *a))[1]
    )
    verdict(config)
    assert steps == [*range(4, 16), *range(16)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"class_path": "explainers.OptiCAM"}}, "OptiCAM in config.yaml needs no train"),
        ({"model": None}, "lacks 'model', with class_path and init_args"),
        ({"trainer": {"devices": 2}}, "set trainer.devices and trainer.num_nodes to 1"),
        ({"ckpt_path": "a.ckpt"}, "ckpt_path a.ckpt in config.yaml starts both heads from"),
    ],
)
def test_what_cannot_be_tested_is_refused(changes, words, tmp_path, monkeypatch, capsys, refused):
    monkeypatch.chdir(tmp_path)
    model = {"class_path": "explainers.PTAME", "init_args": {}}
    data = {"class_path": "datamodules.ShapesDataModule"}
    config = {"model": model, "data": data} | changes
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert words in refused(capsys, "sanity", "--config", "config.yaml", "--output", "out")
    assert not (tmp_path / "out").exists()
