import errno

import pytest
import torch

from explainers import durable_files
from explainers.callbacks.durable_checkpoints import DurableCheckpoints
from explainers.errors import InputError


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    checkpoint = {"state_dict": {"weight": torch.rand(3)}, "global_step": 7}
    path = tmp_path / "new/folder/last.ckpt"
    DurableCheckpoints().save_checkpoint(checkpoint, path)
    loaded = DurableCheckpoints().load_checkpoint(path, weights_only=True)
    assert loaded["global_step"] == 7
    assert torch.equal(loaded["state_dict"]["weight"], checkpoint["state_dict"]["weight"])
    assert [one.name for one in path.parent.iterdir()] == ["last.ckpt"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    named = []
    monkeypatch.setattr(durable_files.os, "fsync", lambda handle: named.append(path.exists()))
    DurableCheckpoints().save_checkpoint({}, path)
    assert named == [False]


def test_a_full_disk_leaves_the_one_before_it(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    DurableCheckpoints().save_checkpoint({"global_step": 1}, path)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable_files.os, "fsync", full)
    with pytest.raises(
        InputError, match=r"cannot write the checkpoint .*last.ckpt \(No space left"
    ):
        DurableCheckpoints().save_checkpoint({"global_step": 2}, path)
    assert torch.load(path, weights_only=True) == {"global_step": 1}
    assert list(tmp_path.iterdir()) == [path]
