"""A bundle finds the weights of its frozen networks from anywhere, or says how to give them."""

import json
import shutil

import pytest
import torch
from PIL import Image

from explainers import PTAME, FrozenClassifier, load_explainer
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.errors import InputError

RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with weights, and a bundle that was trained there by relative paths."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("mine", "other"):
        torch.save(FrozenClassifier.of(RANDOM).model.state_dict(), f"{name}.pth")
    networks = [{"model": "test_resnet", "weights": f"{name}.pth"} for name in ("mine", "other")]
    save_bundle(PTAME(*networks), "my/bundle", {}, [], None)
    return folder


def weights_of(bundle):
    networks = json.loads((bundle / "config.json").read_text())["hyperparameters"]
    return networks["classifier"]["weights"], networks["auxiliary"]["weights"]


def test_bundle_loads_from_any_folder(project, tmp_path, monkeypatch):
    assert weights_of(project / "my/bundle") == (
        str(project / "mine.pth"),
        str(project / "other.pth"),
    )
    monkeypatch.chdir(tmp_path)
    load_explainer("project/my/bundle")


def test_moved_bundle_loads_where_its_weights_are_left(project, tmp_path):
    shutil.move(project / "my/bundle", tmp_path / "bundle")
    explainer = load_explainer(tmp_path / "bundle")
    assert explainer.classifier.source["weights"] == str(project / "mine.pth")


@pytest.mark.parametrize("place", ["bundle", "."])
def test_weights_in_or_beside_the_bundle_are_found_by_name(project, tmp_path, place):
    shutil.move(project / "my", tmp_path / "my")
    for name in ("mine", "other"):
        shutil.move(project / f"{name}.pth", tmp_path / "my" / place / f"{name}.pth")
    explainer = load_explainer(tmp_path / "my/bundle")
    assert explainer.classifier.source["weights"] == str(tmp_path / "my" / place / "mine.pth")


def test_relative_path_of_an_earlier_version_is_below_the_working_folder(project):
    path = project / "my/bundle/config.json"
    path.write_text(path.read_text().replace(f"{project}/", ""))
    assert weights_of(project / "my/bundle") == ("mine.pth", "other.pth")
    load_explainer("my/bundle")


def test_weights_that_are_nowhere_are_named(project):
    (project / "other.pth").unlink()
    with pytest.raises(InputError, match=r"auxiliary .* not at .*other\.pth; put them into the"):
        load_explainer("my/bundle")
    (project / "mine.pth").unlink()
    with pytest.raises(InputError, match=r"classifier .*mine\.pth; give --classifier-weights"):
        load_explainer("my/bundle")


def test_weights_of_the_classifier_can_be_given(project, capsys):
    Image.new("RGB", (64, 64)).save("photo.jpg")
    (project / "mine.pth").rename(project / "renamed.pth")
    load_explainer("my/bundle", classifier_weights="renamed.pth")
    chosen = ["explain", "--checkpoint", "my/bundle", "--image", "photo.jpg", "--output", "maps"]
    assert main(chosen) == 2
    assert "give --classifier-weights FILE" in capsys.readouterr().err
    assert main([*chosen, "--classifier-weights", "renamed.pth"]) == 0
    assert main([*chosen, "--classifier-weights", "nowhere.pth"]) == 2
    assert "no weights file at" in capsys.readouterr().err
    assert main([*chosen, "--classifier-weights", "other.pth"]) == 2
    assert "trained for other weights of classifier" in capsys.readouterr().err


def test_folder_of_weights_is_found_too(project, tmp_path, monkeypatch):
    folder = project / "network"
    folder.mkdir()
    config = {"architecture": "test_resnet", "num_classes": 4, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(project / "mine.pth", folder / "pytorch_model.bin")
    save_bundle(PTAME("local-dir:network", "local-dir:network"), "other", {}, [], None)
    monkeypatch.chdir(tmp_path)
    shutil.move(project / "other", tmp_path / "other")
    assert load_explainer("other").classifier.name == f"local-dir:{folder}"
