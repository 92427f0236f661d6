"""What damaged data does to a run: samples are left out and counted, the rest stops it."""

import json
import os
import pickle
import signal

import numpy as np
import pytest
import torch

from datamodules import PairsDataModule
from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.index import index_of
from datamodules.shards import Shards


class Explosive:
    def __reduce__(self):
        return os._exit, (1,)


def write_shards(folder, write_tar, jpeg, damaged=None, count=12):
    """Three shards of sample i of label i; `damaged` replaces the members of sample 5."""
    for number in range(3):
        members = []
        for sample in range(number, count, 3):
            good = [
                (f"s{sample:02d}.jpg", jpeg(10 * sample)),
                (f"s{sample:02d}.cls", b"%d" % sample),
            ]
            members += damaged if sample == 5 and damaged is not None else good
        write_tar(folder / f"part-{number}.tar", members)


@pytest.fixture
def damages(jpeg, png, bomb):
    """By name: the members of a sample, and what is said of it."""
    good = ("s05.jpg", jpeg(9))
    return {
        "corrupt": (
            [("s05.jpg", good[1][:300]), ("s05.cls", b"5")],
            "a jpg that cannot be decoded",
        ),
        "empty": ([("s05.jpg", b""), ("s05.cls", b"5")], "has a jpg that is empty"),
        "no image": ([("s05.txt", b"x"), ("s05.cls", b"5")], "has no jpg or other image, only txt"),
        "text": ([good, ("s05.cls", b"dog")], "has the class b'dog', which is not a number"),
        "sign": ([good, ("s05.cls", b"-1")], "has the class b'-1', which is not a number"),
        "unlabelled": ([good], "has no cls, and others of its shard have"),
        "bomb": ([("s05.png", bomb), ("s05.cls", b"5")], "a png that is a decompression bomb"),
        "line": (
            [("s05.jpg", jpeg(9, size=(3000, 8))), ("s05.cls", b"5")],
            "a jpg that cannot be decoded (one side is over 100 times the other)",
        ),
        "outside": (
            [("../s05.jpg", good[1]), ("../s05.cls", b"5")],
            "sample '../s05' has a name that leads outside",
        ),
        "absolute": (
            [("/tmp/s05.jpg", good[1]), ("/tmp/s05.cls", b"5")],
            "sample '/tmp/s05' has a name that leads outside",
        ),
    }


NAMES = [
    "corrupt",
    "empty",
    "no image",
    "text",
    "sign",
    "unlabelled",
    "bomb",
    "line",
    "outside",
    "absolute",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_unreadable_sample_is_left_out_of_evaluation_and_named(
    name, damages, tmp_path, write_tar, jpeg, caplog, module, labels_of
):
    members, reason = damages[name]
    write_shards(tmp_path, write_tar, jpeg, members)
    data = module(tmp_path, max_bad=1)
    for _ in range(2):  # counted and named once
        assert sorted(labels_of(data.val_dataloader())) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    (message,) = [record.getMessage() for record in caplog.records]
    assert "left out, number 1" in message
    assert f"{tmp_path / 'part-2.tar'}: sample " in message
    assert reason in message
    assert len(data.unreadable.found) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_another_sample_takes_the_place_of_an_unreadable_one_in_training(
    damages, tmp_path, write_tar, jpeg, workers, caplog, module, labels_of
):
    write_shards(tmp_path, write_tar, jpeg, damages["empty"][0])
    data = module(tmp_path, max_bad=1, num_workers=workers)
    loader = data.train_dataloader()
    epochs = [labels_of(loader) for _ in range(3)]
    assert all(len(epoch) == 12 for epoch in epochs)
    assert all(set(range(12)) - set(epoch) == {5} for epoch in epochs)
    assert len(caplog.records) == 1
    again = module(tmp_path, max_bad=1)
    assert labels_of(again.train_dataloader()) == epochs[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_one_unreadable_sample_too_many_stops_the_run(tmp_path, write_tar, jpeg, workers, module):
    members = [(f"b{index}.jpg", b"") for index in range(3)]
    write_tar(tmp_path / "part-0.tar", [("a.jpg", jpeg(0)), *members])
    data = module(tmp_path, max_bad=2, num_workers=workers)
    message = r"3 samples cannot be read, and max_bad is 2; the last is .*part-0.tar: sample 'b"
    with pytest.raises(ValueError, match=message):
        list(data.val_dataloader())
    with pytest.raises(ValueError, match=message):
        list(module(tmp_path, max_bad=2, num_workers=workers).train_dataloader())


def test_a_batch_of_unreadable_samples_is_empty_and_of_the_right_shape(
    tmp_path, write_tar, jpeg, module
):
    write_tar(tmp_path / "part-0.tar", [("a.jpg", b""), ("b.jpg", b""), ("c.jpg", jpeg(0))])
    first, second = module(tmp_path, batch_size=2).val_dataloader()
    assert first["image"].shape == (0, 3, 32, 32)
    assert first["key"] == []
    assert second["key"] == ["c"]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_truncated_shard_stops_the_run_and_is_named(tmp_path, write_tar, jpeg, workers, module):
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


def test_a_shard_that_vanishes_in_mid_epoch_stops_the_run(tmp_path, write_tar, jpeg, module):
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


def test_pairs_that_lack_a_member_are_left_out(tmp_path, write_tar, jpeg, png, caplog):
    names = {"jpg": jpeg(0), "ref_a.jpg": jpeg(1), "ref_b.jpg": jpeg(2)}
    names |= {f"mask_{one}.png": png(np.full((40, 48), 255, np.uint8)) for one in "ab"}
    members = [(f"s{i}.{name}", content) for i in range(2) for name, content in names.items()]
    write_tar(tmp_path / "p.tar", [one for one in members if one[0] != "s0.mask_b.png"])
    data = PairsDataModule(str(tmp_path / "p.tar"), size=32, max_bad=1)
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert batch["key"] == ["s1-a", "s1-b"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert "p.tar: sample 's0' has no mask_b.png" in message


def test_nothing_is_unpickled(tmp_path, write_tar, jpeg, module, labels_of):
    explosive = pickle.dumps(Explosive())
    members = [("a.jpg", jpeg(0)), ("a.cls", b"1")]
    members += [(f"a.{name}", explosive) for name in ("pyd", "pickle", "pth", "npy", "json")]
    write_tar(tmp_path / "part-0.tar", members)
    assert labels_of(module(tmp_path, batch_size=1).val_dataloader()) == [1]
    write_tar(tmp_path / "part-0.tar", [("a.jpg", explosive), ("a.cls", explosive)])
    with pytest.raises(ValueError, match="which is not a number"):
        list(module(tmp_path, batch_size=1, max_bad=0).val_dataloader())


class Dying(torch.utils.data.Dataset):
    """Kills the worker that asks for item 5."""

    def __len__(self):
        return 12

    def __getitem__(self, item):
        if item == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"image": torch.zeros(3, 2, 2)}


@pytest.mark.slow
def test_a_dead_worker_ends_the_run(tmp_path, write_tar, jpeg, module):
    write_shards(tmp_path, write_tar, jpeg)
    data = module(tmp_path, num_workers=2)
    data.train_set = data.val_set = Dying()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        with pytest.raises(RuntimeError, match=r"worker .* (exited|killed)"):
            list(loader)


def test_seeds_epochs_and_ranks_see_other_orders_and_one_seed_the_same(
    tmp_path, write_tar, jpeg, monkeypatch, module, labels_of
):
    write_shards(tmp_path, write_tar, jpeg)

    def order(seed, rank=0, world=1):
        monkeypatch.setattr("datamodules.base._process", lambda: (rank, world))
        loader = module(tmp_path, seed=seed, batch_size=2).train_dataloader()
        return [labels_of(loader) for _ in range(2)]

    whole = order(seed=0)
    assert order(seed=0) == whole
    assert order(seed=1) != whole
    assert whole[0] != whole[1]
    ranks = [order(seed=0, rank=rank, world=3) for rank in range(3)]
    assert len({len(rank[0]) for rank in ranks}) == 1  # as many steps on each
    together = [sorted(label for rank in ranks for label in rank[epoch]) for epoch in range(2)]
    assert together == [list(range(12))] * 2


def test_the_stream_has_the_same_crops_with_a_draft_where_images_are_small(
    tmp_path, write_tar, jpeg
):
    write_shards(tmp_path, write_tar, jpeg)
    crops = evaluation_transform(32, 1.0)
    paths = str(tmp_path / "part-*.tar")
    whole = ShuffledShards(Shards(paths, crops), 2, seed=0)
    drafted = ShuffledShards(Shards(paths, crops, at_least=32), 2, seed=0)
    assert all(torch.equal(whole[item]["image"], drafted[item]["image"]) for item in range(12))
