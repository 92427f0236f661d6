from itertools import groupby

import numpy as np
import torch

from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import training_transform
from datamodules.shards import Shards

LENGTHS = (3, 5, 2, 4)
COUNT = sum(LENGTHS)


class Lengths:
    """Parts that are never read."""

    lengths = LENGTHS


def test_samples_are_mixed_within_so_many_shards():
    shards = Lengths()
    order = [ShuffledShards(shards, 1, seed=0).locate(item) for item in range(COUNT)]
    # One at a time: four stretches, each a whole shard, in an order of its own.
    stretches = [(shard, len(list(group))) for shard, group in groupby(order, lambda one: one[0])]
    assert sorted(stretches) == list(enumerate(LENGTHS))
    assert order != sorted(order)
    mixed = [ShuffledShards(shards, 4, seed=0).locate(item) for item in range(COUNT)]
    assert sorted(mixed) == sorted(order)
    assert len(list(groupby(mixed, lambda one: one[0]))) > 4


def test_few_crops_come_back_run_after_run(tmp_path, jpeg, write_tar):
    noise = np.random.default_rng(0).integers(0, 255, (5, 40, 48), dtype=np.uint8)
    write_tar(tmp_path / "n.tar", [(f"{i}.jpg", jpeg(one)) for i, one in enumerate(noise)])
    shards = Shards(str(tmp_path / "n.tar"), training_transform(32, 40))
    stream = ShuffledShards(shards, together=1, seed=0, crops=3)
    samples = [stream[item] for item in range(30)]
    for key in "01234":
        seen = [sample["image"] for sample in samples if sample["key"] == key]
        assert all(torch.equal(seen[run], seen[run + 3]) for run in range(3))
        assert not any(torch.equal(seen[run], seen[run + 1]) for run in range(2))
    assert [sample["key"] for sample in samples[:5]] != [sample["key"] for sample in samples[15:20]]


def test_the_mask_is_cropped_and_flipped_with_its_image(tmp_path, jpeg, png, write_tar):
    mask = np.zeros((40, 48), np.uint8)
    mask[4:30, 5:20] = 255
    write_tar(tmp_path / "m.tar", [("a.jpg", jpeg(mask)), ("a.mask.png", png(mask))])
    shards = Shards(str(tmp_path / "m.tar"), training_transform(32, 40))
    stream = ShuffledShards(shards, together=1, seed=0)
    seen = set()
    for item in range(20):
        sample = stream[item]
        assert sample["mask"].dtype == torch.bool
        assert sample["mask"].shape == (1, 32, 32)
        bright = sample["image"].mean(dim=0, keepdim=True) > 0.5
        assert (bright == sample["mask"]).float().mean() > 0.98
        seen.add(int(sample["mask"][0, 16].float().argmax()))
    assert len(seen) > 5  # crops and flips moved it
