"""Weights of the hub, in a cache laid out as the hub's; and a hub that does not answer."""

import json
import pickle

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from explainers import FrozenClassifier
from explainers.classifier.sources import hub_files
from explainers.errors import InputError

CONFIG = {
    "architecture": "test_resnet",
    "num_classes": 4,
    "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.1] * 3, "std": [0.3] * 3},
}


@pytest.fixture
def network():
    return timm.create_model("test_resnet", num_classes=4)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The folder of the cache that holds the files of `org/name`, and a hub that is silent."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_files, "_reached", set())
    asked = []

    class Silent:
        def head(self, url, timeout):
            asked.append((url, timeout))
            raise ConnectionError("no route")

    monkeypatch.setattr(hub_files, "get_session", Silent)
    (tmp_path / "models--org--name/refs").mkdir(parents=True)
    (tmp_path / "models--org--name/refs/main").write_text("0" * 40)
    folder = tmp_path / "models--org--name/snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    yield folder
    assert all(question == (constants.ENDPOINT, 5.0) for question in asked)


def test_what_the_cache_holds_needs_no_hub(repository, network):
    save_file(network.state_dict(), repository / "model.safetensors")
    classifier = FrozenClassifier("hf-hub:org/name")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.eval()((images - 0.1) / 0.3)
    torch.testing.assert_close(classifier(images), expected)
    assert classifier.name == "hf-hub:org/name"
    assert classifier.size == (64, 64)


def test_a_pickle_of_the_hub_is_not_executed(repository, tmp_path):
    class Marker:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").write_text, ("yes",))

    (repository / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Marker()}))
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        FrozenClassifier("hf-hub:org/name")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["hf-hub:org/other", "resnet18.a1_in1k", "hf-hub:org/name"])
def test_what_the_cache_lacks_is_one_line(repository, name):
    with pytest.raises(InputError, match=r"cannot be fetched .* is not reached; .*weights: FILE"):
        FrozenClassifier(name)


def test_random_weights_need_the_config_only(repository):
    assert FrozenClassifier("hf-hub:org/name", pretrained=False).num_classes == 4


def test_a_hub_that_answers_is_asked_for_files(repository, monkeypatch):
    class Answers:
        def head(self, url, timeout):
            return 200

    monkeypatch.setattr(hub_files, "get_session", Answers)
    asked = []

    def download(identifier, name, revision, local_files_only):
        asked.append((identifier, name, revision, local_files_only))
        return str(repository / name)

    monkeypatch.setattr(hub_files, "hf_hub_download", download)
    assert hub_files.hub_file("org/name@v1", ["config.json"]) == repository / "config.json"
    assert asked == [("org/name", "config.json", "v1", False)]
    monkeypatch.setattr(hub_files, "get_session", None)  # it is not asked twice
    assert not hub_files.is_offline()
