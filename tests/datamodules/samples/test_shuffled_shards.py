"""Shards in a shuffled order: what seeds, epochs, ranks and drafts change."""

import torch

from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import evaluation_transform
from datamodules.shards import Shards


def test_seeds_epochs_and_ranks_see_other_orders_and_one_seed_the_same(
    tmp_path, write_shards, write_tar, jpeg, monkeypatch, module, labels_of
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
    tmp_path, write_shards, write_tar, jpeg
):
    write_shards(tmp_path, write_tar, jpeg)
    crops = evaluation_transform(32, 1.0)
    paths = str(tmp_path / "part-*.tar")
    whole = ShuffledShards(Shards(paths, crops), 2, seed=0)
    drafted = ShuffledShards(Shards(paths, crops, at_least=32), 2, seed=0)
    assert all(torch.equal(whole[item]["image"], drafted[item]["image"]) for item in range(12))
