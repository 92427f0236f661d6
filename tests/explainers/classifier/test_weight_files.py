import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from explainers.classifier.sources.timm_source import create
from explainers.classifier.weight_files import fingerprint, read_state
from explainers.errors import InputError


@pytest.fixture
def model():
    return timm.create_model("test_resnet", num_classes=3)


@pytest.fixture(params=["weights.pth", "weights.safetensors"])
def file(request, model, tmp_path):
    path = tmp_path / request.param
    state = model.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def test_checkpoint_file_brings_its_weights_and_classes(file, model):
    loaded = create("test_resnet", weights=str(file))
    assert loaded.num_classes == 3
    assert fingerprint(loaded) == fingerprint(model)


@pytest.mark.parametrize("num_classes", [None, 0])
def test_checkpoint_file_without_a_head_makes_a_network_without_one(num_classes, tmp_path):
    name = "vit_small_patch14_dinov2"
    headless = timm.create_model(name, num_classes=0)
    save_file(headless.state_dict(), tmp_path / "weights.safetensors")
    loaded = create(name, weights=str(tmp_path / "weights.safetensors"), num_classes=num_classes)
    assert loaded.num_classes == 0
    assert fingerprint(loaded) == fingerprint(headless)


def test_training_checkpoints_state_is_found(model, tmp_path):
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "last.ckpt")
    assert read_state(tmp_path / "last.ckpt").keys() == model.state_dict().keys()


def test_local_dir_is_loaded_through_timm(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": "test_resnet",
        "num_classes": 3,
        "pretrained_cfg": {"mean": [0.1] * 3},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = create(f"local-dir:{tmp_path}")
    assert fingerprint(loaded) == fingerprint(model)
    assert tuple(loaded.pretrained_cfg["mean"]) == (0.1, 0.1, 0.1)


def test_unknown_name_is_answered_with_the_closest():
    with pytest.raises(InputError, match="unknown model 'resnet5O'; did you mean resnet50"):
        create("resnet5O")


def test_unknown_tag_is_answered_with_the_known():
    with pytest.raises(InputError, match="no published weights 'a9_in1k'; did you mean "):
        create("resnet50.a9_in1k")


def test_unknown_package_is_answered_with_the_known():
    with pytest.raises(
        InputError,
        match="unknown packaged network 'efficientnet_lite9'; did you mean efficientnet_lite",
    ):
        create("package:efficientnet_lite9")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no weights file at .*nowhere\.pth"):
        create("test_resnet", weights=str(tmp_path / "nowhere.pth"))


def test_truncated_file_is_named(file):
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="may be truncated"):
        create("test_resnet", weights=str(file))


def test_weights_of_another_model_are_refused(file):
    with pytest.raises(InputError, match="cannot be loaded into 'test_vit'"):
        create("test_vit", weights=str(file))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"state_dict": torch.nn.Linear(2, 2)}, tmp_path / "pickled.pth")
    with pytest.raises(InputError, match="more than tensors"):
        read_state(tmp_path / "pickled.pth")


def test_fingerprint_sees_one_changed_bit_and_buffers(model):
    before = fingerprint(model)
    assert fingerprint(model) == before
    model.bn1.running_mean[0] += 1e-3
    changed = fingerprint(model)
    assert changed != before
    with torch.no_grad():
        model.fc.weight[0, 0] = torch.nextafter(model.fc.weight[0, 0], torch.tensor(9.0))
    assert fingerprint(model) not in (before, changed)
