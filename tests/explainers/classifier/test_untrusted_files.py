"""Files of strangers: nothing in them is executed, whatever they are named as."""

import json
import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from explainers import PTAME, FrozenClassifier
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.classifier.sources.timm_source import create
from explainers.errors import InputError
from explainers.training.checkpoint_files import read_checkpoint

CONFIG = {
    "architecture": "test_resnet",
    "num_classes": 3,
    "pretrained_cfg": {"num_classes": 3, "classifier": "fc"},
}


class Marker:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def marked(tmp_path):
    """Write a file whose unpickling makes a folder, and the function that says whether it did."""

    def write(path, plain):
        content = {"state_dict": Marker(tmp_path / "executed"), "fc.weight": torch.ones(3, 2)}
        if plain:
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path)
        return path

    yield write
    assert not (tmp_path / "executed").exists()


def test_marker_works(tmp_path):
    pickle.loads(pickle.dumps(Marker(tmp_path / "executed")))
    assert (tmp_path / "executed").is_dir()


@pytest.fixture(autouse=True)
def _no_loader_of_timm(monkeypatch):
    """timm's own reading of weight files, which some of its versions do by unpickling."""

    def called(*arguments, **options):
        raise AssertionError("timm read a file")

    monkeypatch.setattr("timm.models._builder.load_state_dict", called)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_path", called, raising=False)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("name", ["x.pth", "x.bin", "x.pt", "x.safetensors", "x.npz"])
def test_weights_file_is_not_executed(marked, tmp_path, name, num_classes, plain):
    path = marked(tmp_path / name, plain)
    with pytest.raises(InputError):
        create("test_resnet", weights=str(path), num_classes=num_classes)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pth", "x.pth", "x.bin", "model.safetensors"]
)
def test_folder_of_weights_is_not_executed(marked, tmp_path, name, plain):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/config.json").write_text(json.dumps(CONFIG))
    marked(tmp_path / "folder" / name, plain)
    for num_classes in (None, 3, 5):
        with pytest.raises(InputError):
            create(f"local-dir:{tmp_path / 'folder'}", num_classes=num_classes)


@pytest.mark.parametrize("plain", [True, False])
def test_bundle_and_checkpoint_are_not_executed(marked, tmp_path, plain):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    source = {"model": "test_resnet", "weights": str(tmp_path / "weights.pth")}
    bundle = save_bundle(PTAME(source, source), tmp_path / "bundle", {}, [], None)
    marked(bundle / "model.safetensors", plain)
    with pytest.raises(InputError, match="is not a readable weights file"):
        load_explainer(bundle)
    with pytest.raises(InputError, match="it is not unpickled"):
        read_checkpoint(marked(tmp_path / "x.ckpt", plain))
    marked(tmp_path / "weights.pth", plain)
    with pytest.raises(InputError):
        FrozenClassifier.of(source)


def test_folder_without_weights_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(InputError, match=r"no weights file in .*; name a folder with config\.json"):
        create(f"local-dir:{tmp_path}")


def test_folder_without_a_config_is_named(tmp_path):
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="cannot be loaded into"):
        create(f"local-dir:{tmp_path}")


def test_image_format_of_a_folder_is_checked(tmp_path):
    save_file(
        timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "m.safetensors"
    )
    cfg = CONFIG["pretrained_cfg"] | {"input_size": [3, 10**6, 10**6]}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"pretrained_cfg": cfg}))
    with pytest.raises(InputError, match="each side of size must be a whole number from 1 to 4096"):
        FrozenClassifier.of(f"local-dir:{tmp_path}")


def test_weights_saved_by_several_processes_or_compiled_are_found(tmp_path):
    model = timm.create_model("test_resnet", num_classes=3)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    loaded = create("test_resnet", weights=str(tmp_path / "x.pth"), num_classes=3)
    assert torch.equal(loaded.fc.weight, model.fc.weight)
    assert "state_dict" not in loaded.pretrained_cfg


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"num_classes": 5}, True),
        ({}, False),
        ({"num_classes": 3}, False),
        ({"num_classes": 0}, False),
        ({"num_classes": 5, "pretrained": False}, False),
    ],
)
def test_random_head_is_said_once_unless_all_is_random(tmp_path, caplog, options, warned):
    model = timm.create_model("test_resnet", num_classes=3)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    create(f"local-dir:{tmp_path}", **options)
    texts = [record.message for record in caplog.records if "random" in record.message]
    assert len(texts) == warned
    if warned:
        assert "its weights tell apart 3 classes, and num_classes is 5" in texts[0]
