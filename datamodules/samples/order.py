"""Order of training: an endless stream of samples, shuffled, in which item n is always the same."""

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.samples.checks import check_count, check_seed
from datamodules.samples.seeding import drawing_from, seeded
from datamodules.samples.unreadable import Sample


class Parts(Protocol):
    """Data set in several parts, such as shards.

    Attributes:
        lengths: number of samples in each part.
    """

    lengths: tuple[int, ...]

    def read(self, part: int, position: int) -> Sample:
        """One sample of a part."""


class ShuffledShards(Dataset[Sample]):
    """An endless stream of a split's samples; item n of a seed is always the same crop.

    Every run of as many items as there are samples shows each sample once. In each run the shards
    come in another order, a few at a time, and the samples of these are shuffled together.

    Args:
        shards: the split; its transform may be random.
        together: the shuffle window: number of shards whose samples are shuffled with each other;
            more mix better, fewer are read more in sequence.
        seed: another seed, another stream.
        crops: number of different crops of a sample, one a run; by default, each is a new one.

    Raises:
        DataError: a setting is out of range.
    """

    def __init__(self, shards: Parts, together: int, seed: int, crops: int | None = None) -> None:
        check_count("together", together)
        check_seed(seed)
        if crops is not None:
            check_count("crops", crops)
        self.shards = shards
        self.together = together
        self.seed = seed
        self.crops = crops

    def __getitem__(self, item: int) -> Sample:
        shard, position = self.locate(item)
        drawn = [item]
        if self.crops is not None:
            drawn = [shard, position, item // sum(self.shards.lengths) % self.crops]
        with drawing_from(self.seed, *drawn):
            return self.shards.read(shard, position)

    def locate(self, item: int) -> tuple[int, int]:
        """The shard that an item comes from, and its position there."""
        lengths = self.shards.lengths
        run, index = divmod(item, sum(lengths))
        windows, window_ends = _windows(lengths, self.together, self.seed, run)
        window, place = within(window_ends, index)
        mixed = windows[window]
        ends = list(accumulate(lengths[shard] for shard in mixed))
        order = _permutation(ends[-1], self.seed, run, window)
        which, position = within(ends, int(order[place]))
        return mixed[which], position


def within(ends: list[int], index: int) -> tuple[int, int]:
    """The part that an index is in, of parts that end at `ends`, and the place in that part."""
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


def evenly_spread(count: int, total: int) -> list[int]:
    """Positions of at most `count` of `total` samples, the middles of equal parts.

    Data sets often list one class after the other; a part of each shows several.
    """
    count = min(count, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


@lru_cache(maxsize=4)
def _windows(
    lengths: tuple[int, ...], together: int, seed: int, run: int
) -> tuple[list[list[int]], list[int]]:
    """The shards in the order of a run, divided into those that are mixed; where each part ends."""
    order = torch.randperm(len(lengths), generator=seeded(seed, run)).tolist()
    windows = [order[first : first + together] for first in range(0, len(order), together)]
    return windows, list(accumulate(sum(lengths[shard] for shard in one) for one in windows))


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, run: int, window: int) -> Tensor:
    return torch.randperm(count, generator=seeded(seed, run, window))
