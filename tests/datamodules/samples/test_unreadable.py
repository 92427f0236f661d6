"""Unreadable samples: they are left out and counted, and too many stop the run."""

import os
import pickle

import numpy as np
import pytest

from datamodules import PairsDataModule


class Explosive:
    def __reduce__(self):
        return os._exit, (1,)


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
    name, damages, tmp_path, write_shards, write_tar, jpeg, caplog, module, labels_of
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
    damages, tmp_path, write_shards, write_tar, jpeg, workers, caplog, module, labels_of
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
