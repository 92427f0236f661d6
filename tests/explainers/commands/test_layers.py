"""`explainers layers`: names and shapes that `layers` of a classifier takes."""

import pytest
import yaml

from explainers import FrozenClassifier
from explainers.cli import main


def listed(capsys, *arguments):
    assert main(["layers", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def test_layers_of_a_model_are_listed_with_those_that_are_read(capsys):
    lines = listed(capsys, "--model", "torchvision:resnet18")
    read = [line.split()[0] for line in lines if "read by default" in line]
    assert read == ["layer1", "layer2", "layer3", "layer4"]
    (line,) = (line for line in lines if line.startswith("layer3 "))
    assert "maps 256 x 14 x 14, stride 16" in line
    assert lines[-1] == "the layer that gives the logits: fc"


def test_names_are_the_library_s_own(capsys):
    lines = listed(capsys, "--model", "torchvision:vit_b_16")
    (line,) = (line for line in lines if line.startswith("encoder.layers.encoder_layer_11 "))
    assert "tokens 197 x 768, stride 16, 1 before the places  read by default" in line


@pytest.mark.parametrize(
    "config",
    [
        {"classifier": "test_resnet"},
        {"model": {"class_path": "explainers.TAME", "init_args": {"classifier": "test_resnet"}}},
    ],
)
def test_a_config_names_the_classifier(config, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    lines = listed(capsys, "--config", tmp_path / "config.yaml")
    names = [line.split()[0] for line in lines if "stride 16" in line]
    source = {"model": "test_resnet", "pretrained": False, "layers": [names[-1]]}
    assert FrozenClassifier.of(source).stages[0].reduction == 16


def test_a_config_without_a_classifier_is_one_line(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("data: 1")
    assert main(["layers", "--config", str(tmp_path / "config.yaml")]) == 2
    assert "describes no classifier; name one with --model" in capsys.readouterr().err
