"""The export command, and its file where torch cannot be imported."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import PTAMEPlus
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.cli import main

DOCUMENTATION = Path(__file__).parents[3] / "docs/export.md"

# torch's exporters and onnxscript warn of their own parts.
pytestmark = pytest.mark.filterwarnings("default")


def source(name="test_resnet"):
    return {"model": name, "pretrained": False, "num_classes": 4}


def one_line(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_command_says_why_a_config_cannot_be_exported(tmp_path, capsys):
    config = tmp_path / "opticam.yaml"
    config.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n"
        "    classifier: {model: test_resnet, pretrained: false}\n"
    )
    command = ["export", "--config", str(config), "--format", "onnx"]
    assert main([*command, "--output", str(tmp_path / "one.onnx")]) == 2
    assert "OptiCAM cannot be exported: it optimises each map" in one_line(capsys)


@pytest.fixture
def bundle(tmp_path):
    explainer = PTAMEPlus(source())
    path = tmp_path / "weights.pth"
    torch.save(explainer.classifier.model.state_dict(), path)
    explainer = PTAMEPlus({"model": "test_resnet", "weights": str(path)})
    return save_bundle(explainer, tmp_path / "bundle", {}, [], None)


def test_opset_is_refused_for_torch(bundle, tmp_path, capsys):
    command = ["export", "--checkpoint", str(bundle), "--format", "torch", "--opset", "18"]
    assert main([*command, "--output", str(tmp_path / "one.pt2")]) == 2
    assert "--opset 18 is for --format onnx" in one_line(capsys)


@pytest.mark.slow
def test_documented_example_runs_where_torch_cannot_be_imported(bundle, tmp_path, capsys):
    model, photo, picture = (tmp_path / name for name in ("one.onnx", "photo.png", "map.png"))
    command = ["export", "--checkpoint", str(bundle), "--format", "onnx", "--with-classifier"]
    assert main([*command, "--output", str(model)]) == 0
    assert re.search(r"float32, opset 20, \d\.\d MB, differs", capsys.readouterr().out)
    explainer = load_explainer(bundle)
    values = np.random.default_rng(0).integers(0, 255, (*explainer.classifier.size, 3), np.uint8)
    Image.fromarray(values).save(photo)
    (example,) = re.findall(r"```python\n(import json.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text("import sys\nsys.modules['torch'] = None\n" + example)
    arguments = [sys.executable, str(script), str(model), str(photo), str(picture)]
    run = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    explanation = explainer.explain(photo)
    assert run.stdout.strip() == explanation.captions[0]
    answered = np.asarray(Image.open(picture)).astype(float) / 255
    # Eight bits in the picture.
    np.testing.assert_allclose(
        answered, explanation.maps[0, 0].numpy(), rtol=0, atol=0.5 / 255 + 1e-4
    )
