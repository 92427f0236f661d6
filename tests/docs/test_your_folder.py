"""The five commands of docs/your_own_model.md, from a file of weights and folders to pictures."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

import train
from explainers import cli

ROOT = Path(__file__).parents[2]
CLASSES = [f"kind {index:02d}" for index in range(12)]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Weights of a ResNet-18 of 12 classes, as a training wrote them, and photographs of these."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    network = torchvision.models.resnet18(num_classes=12)
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, "mine.pth"
    )
    noise = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for label, name in enumerate(CLASSES):
            Path("photos", split, name).mkdir(parents=True)
            for index in range(count):
                pixels = noise.integers(0, 90, (200, 240, 3), dtype=np.uint8)
                pixels[10 * label : 10 * label + 60, 80:140, label % 3] += 150
                Image.fromarray(pixels).save(Path("photos", split, name, f"{index}.jpg"))
    shutil.copy("photos/val/kind 03/0.jpg", "photo.jpg")
    return tmp_path


def commands():
    page = (ROOT / "docs/your_own_model.md").read_text()
    section = page.split("## From `mine.pth` and a folder to a picture")[1]
    return [shlex.split(line) for line in section.split("```")[1].strip().splitlines()]


def test_five_commands_lead_to_a_head_a_comparison_and_pictures(folder, monkeypatch, capsys):
    assert len(commands()) == 5
    for program, *words in commands():
        if program == "explainers":
            # Insertion and deletion take minutes, and are tested elsewhere.
            less = ["--metrics", "[average_drop, average_gain]"] if words[0] == "compare" else []
            assert cli.main([*words, *less]) == 0
        else:
            monkeypatch.setattr("sys.argv", words)
            train.main(words[1:])
    printed = capsys.readouterr().out
    assert re.search(r"layer4 .*pooled", printed)
    table = Path("comparison/table.md").read_text()
    assert all(row in table for row in ("mine", "grad_cam", "layer_cam", "fake_cam"))
    assert Path("comparison/panel.png").is_file()
    assert any(name in printed.partition("maps/photo.png: ")[2] for name in CLASSES)
    assert Path("maps/photo.png").is_file()
    assert len(list(Path("more/pictures").rglob("*.png"))) == 36
