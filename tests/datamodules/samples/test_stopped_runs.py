"""Errors that stop a run at once: damaged shards, missing shards and labels, dead workers."""

import json
import os
import signal

import pytest
import torch

from datamodules.shard_files.index import index_of


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_truncated_shard_stops_the_run_and_is_named(
    tmp_path, write_shards, write_tar, jpeg, workers, module
):
    write_shards(tmp_path, write_tar, jpeg)
    path = tmp_path / "part-1.tar"
    whole = path.read_bytes()
    for length in (len(whole) // 3, 1024 + len(jpeg(10)) // 512 * 512, 700):
        path.write_bytes(whole[:length])
        (tmp_path / "_info.json").write_text(
            json.dumps(
                {
                    "splits": {
                        "part": {
                            "filenames": [f"part-{number}.tar" for number in range(3)],
                            "shard_lengths": [4, 4, 4],
                        }
                    }
                }
            )
        )
        with pytest.raises(ValueError, match=r"part-1.tar is not a readable tar file") as stop:
            list(module(tmp_path, num_workers=workers).val_dataloader())
        assert "Traceback" not in str(stop.value)


def test_a_shard_cut_off_between_two_members_is_noticed_without_an_info(
    tmp_path, write_tar, jpeg, module
):
    write_tar(tmp_path / "part-0.tar", [("a.jpg", jpeg(0)), ("b.jpg", jpeg(1))])
    size = 512 + -(-len(jpeg(0)) // 512) * 512
    (tmp_path / "part-0.tar").write_bytes((tmp_path / "part-0.tar").read_bytes()[:size])
    with pytest.raises(ValueError, match="unexpected end of data"):
        module(tmp_path)


def test_a_shard_that_vanishes_in_mid_epoch_stops_the_run(
    tmp_path, write_shards, write_tar, jpeg, module
):
    write_shards(tmp_path, write_tar, jpeg)
    data = module(tmp_path)
    index_of.cache_clear()
    (tmp_path / "part-1.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"no shard at .*part-1.tar"):
        list(data.val_dataloader())


def test_samples_of_one_split_with_and_without_labels_are_named(tmp_path, write_tar, jpeg, module):
    write_tar(tmp_path / "part-0.tar", [("a.jpg", jpeg(0)), ("a.cls", b"1")])
    write_tar(tmp_path / "part-1.tar", [("b.jpg", jpeg(0))])
    with pytest.raises(ValueError, match="of the samples 'a' and 'b' only one has a label"):
        list(module(tmp_path, batch_size=2).val_dataloader())


class Dying(torch.utils.data.Dataset):
    """Kills the worker that asks for item 5."""

    def __len__(self):
        return 12

    def __getitem__(self, item):
        if item == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"image": torch.zeros(3, 2, 2)}


@pytest.mark.slow
def test_a_dead_worker_ends_the_run(tmp_path, write_shards, write_tar, jpeg, module):
    write_shards(tmp_path, write_tar, jpeg)
    data = module(tmp_path, num_workers=2)
    data.train_set = data.val_set = Dying()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        with pytest.raises(RuntimeError, match=r"worker .* (exited|killed)"):
            list(loader)
