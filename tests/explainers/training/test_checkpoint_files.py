"""Checkpoints that are refused in one line, nothing in them executed, and differences named."""

import os

import pytest
import torch

from explainers.callbacks import DurableCheckpoints
from explainers.errors import InputError
from explainers.training.checkpoint_files import compare_with_config, read_checkpoint


class Marker:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    path, marker = tmp_path / "evil.ckpt", tmp_path / "executed"
    torch.save({"state_dict": {}, "payload": Marker(marker)}, path)
    for weights_only in (None, False, True):
        with pytest.raises(InputError, match="it is not unpickled") as refusal:
            DurableCheckpoints().load_checkpoint(path, weights_only=weights_only)
        assert "weights_only=False" not in str(refusal.value)
    assert not marker.exists()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.ckpt", "s3://bucket/a.ckpt"])
def test_remote_checkpoints_are_refused(address):
    with pytest.raises(InputError, match="is remote; fetch it first"):
        read_checkpoint(address)


def test_what_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/config.json").write_text("{}")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    torch.save([1, 2], tmp_path / "list.ckpt")
    for name, reason in (
        ("missing.ckpt", "which is not there"),
        ("bundle", "which is a folder .a bundle: explainers explain --checkpoint"),
        ("photo.jpg", "photo.jpg is no checkpoint of a fit"),
        ("list.ckpt", "list.ckpt is no checkpoint of a fit: it holds a list"),
    ):
        with pytest.raises(InputError, match=reason):
            read_checkpoint(tmp_path / name)


def test_what_holds_no_weights_is_refused():
    with pytest.raises(InputError, match="it has no 'state_dict'"):
        compare_with_config({"epoch": 1}, "LCAM", {"lr": 0.1}, resume=False)


def test_another_explainer_is_refused():
    checkpoint = {
        "state_dict": {},
        "hyper_parameters": {"_class_path": "explainers.PTAME", "lr": 0.1},
    }
    with pytest.raises(InputError, match="is of a PTAME, and the config describes a LCAM"):
        compare_with_config(checkpoint, "LCAM", {"lr": 0.1}, resume=False)
    trained_in_python = {"state_dict": {}, "hyper_parameters": {"lr": 0.1}, "class": "TAME"}
    with pytest.raises(InputError, match="is of a TAME"):
        compare_with_config(trained_in_python, "LCAM", {"lr": 0.1}, resume=False)


def test_differing_hyperparameters_are_named_and_whose_count():
    theirs = {"lr": 0.1, "area_weight": 2.0, "stages": [1, 2], "init_from": None}
    own = {"lr": 0.2, "area_weight": 3.0, "stages": (1, 2), "init_from": "checkpoints/x"}
    checkpoint = {"state_dict": {}, "hyper_parameters": theirs}
    line = compare_with_config(checkpoint, "PTAME", own, resume=True)
    assert line == (
        "the checkpoint was trained with other hyperparameters: area_weight (2.0 there, 3.0 here), "
        "lr (0.1 there, 0.2 here); those here are used, but lr as in the checkpoint"
    )
    assert compare_with_config(checkpoint, "PTAME", theirs, resume=True) is None
