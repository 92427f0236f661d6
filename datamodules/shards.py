"""WebDataset shards: tar files of `KEY.jpg`, and `KEY.cls` and `KEY.mask.png` where known.

Samples are read by their position in a shard rather than streamed: a fit resumes at any sample,
and evaluation gives every sample once to any number of processes and workers.
"""

import io
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample, drawing_from, seeded
from datamodules.tars import find_shards, index_of, members_of, recorded_lengths
from datamodules.transforms import (
    evaluation_transform,
    random_scale_transform,
    training_transform,
)


class Shards(Dataset[Sample]):
    """The samples of tar files, one after the other.

    Args:
        patterns: paths, globs, or lists in braces (`name-{0000..0063}.tar`).
        transform: of a PIL image and, where there is one, its mask with it; makes the image
            (3 h w) in [0, 1].

    Raises:
        FileNotFoundError: a shard is missing, or a glob finds none.
        ValueError: the `_info.json` beside a shard cannot be used.
    """

    def __init__(self, patterns: str | Sequence[str], transform: v2.Transform) -> None:
        self.paths = find_shards(patterns)
        self.transform = transform
        recorded = {
            folder: recorded_lengths(folder) for folder in {path.parent for path in self.paths}
        }
        self.lengths = tuple(
            recorded[path.parent].get(path.name) or len(index_of(path)) for path in self.paths
        )
        self._ends = list(accumulate(self.lengths))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.read(*_within(self._ends, index))

    @property
    def labels(self) -> list[int] | None:
        """The class of each sample, read without its image; None if one has none."""
        labels = []
        for path in self.paths:
            for position, (_, members) in enumerate(index_of(path)):
                if "cls" not in members:
                    return None
                labels.append(int(members_of(path, position, ["cls"])["cls"]))
        return labels

    def read(self, shard: int, position: int) -> Sample:
        """Decode one sample of a shard.

        Raises:
            ValueError: the shard is not what its `_info.json` or its format promises.
        """
        path = self.paths[shard]
        index = index_of(path)
        if len(index) != self.lengths[shard]:
            raise ValueError(
                f"{path} holds {len(index)} samples, and the _info.json beside it says "
                f"{self.lengths[shard]}; fetch the shard again, or correct that file"
            )
        key, members = index[position]
        if "jpg" not in members:
            raise ValueError(f"{path}: sample {key!r} has no jpg, only {', '.join(members)}")
        content = members_of(path, position, members.keys() & {"jpg", "cls", "mask.png"})
        return {"key": key} | _decoded(content, self.transform)


class ShuffledShards(Dataset[Sample]):
    """An endless stream of a split's samples; item n of a seed is always the same crop.

    Every run of as many items as there are samples shows each sample once. In each run the shards
    come in another order, a few at a time, and the samples of these are shuffled together.

    Args:
        shards: the split; its transform may be random.
        together: how many shards are mixed; more mix better, fewer are read more in sequence.
        seed: another seed, another stream.
    """

    def __init__(self, shards: Shards, together: int, seed: int) -> None:
        self.shards = shards
        self.together = together
        self.seed = seed

    def __getitem__(self, item: int) -> Sample:
        shard, position = self.locate(item)
        with drawing_from(self.seed, item):
            return self.shards.read(shard, position)

    def locate(self, item: int) -> tuple[int, int]:
        """The shard that an item comes from, and its position there."""
        lengths = self.shards.lengths
        run, index = divmod(item, len(self.shards))
        windows, window_ends = _windows(lengths, self.together, self.seed, run)
        window, place = _within(window_ends, index)
        mixed = windows[window]
        ends = list(accumulate(lengths[shard] for shard in mixed))
        which, position = _within(ends, _permutation(ends[-1], self.seed, run, window)[place])
        return mixed[which], position


class ShardsDataModule(ImageDataModule):
    """Trains and evaluates on WebDataset shards, such as ImageNet in timm's format.

    Training resizes and crops at random and flips; evaluation resizes and crops the centre. The
    number of samples in each shard is taken from the `_info.json` beside it, or counted.

    Args:
        train: shards to train on: paths, globs, or lists in braces (`name-{0000..0063}.tar`).
        val: shards to validate on.
        test: shards to test on.
        size: height and width of the images, in pixels.
        resize: for training, the shorter side before the random crop, in pixels.
        scale: for training, crop a random share of the image between these two instead, and
            resize the crop: for photographs that are few.
        crop_fraction: for evaluation, the share of the resized image's side that is kept.
        interpolation: of all resizing.
        together: shards whose training samples are shuffled with each other.
        batch_size: samples in a batch, on each process.
        num_workers: processes that prepare samples, on each process.
        samples_per_epoch: length of a training epoch, over all processes; by default each sample
            once.
        seed: of the order and the crops in training.

    Raises:
        FileNotFoundError: a shard is missing, or a glob finds none.
        ValueError: a setting is out of range, or an `_info.json` cannot be used.
    """

    def __init__(
        self,
        train: str | list[str],
        val: str | list[str],
        test: str | list[str],
        size: int = 224,
        resize: int = 256,
        scale: list[float] | None = None,
        crop_fraction: float = 0.875,
        interpolation: Literal["bilinear", "bicubic"] = "bilinear",
        together: int = 8,
        batch_size: int = 32,
        num_workers: int = 4,
        samples_per_epoch: int | None = None,
        seed: int = 0,
    ) -> None:
        if together < 1:
            raise ValueError(f"together must be at least 1, got {together}")
        evaluation = evaluation_transform(size, crop_fraction, interpolation)
        if scale is None:
            training = training_transform(size, resize, interpolation)
        else:
            training = random_scale_transform(size, scale)
        self.training_shards = Shards(train, training)
        self.val_shards, self.test_shards = Shards(val, evaluation), Shards(test, evaluation)
        if samples_per_epoch is None:
            samples_per_epoch = len(self.training_shards)
        super().__init__(batch_size, num_workers, samples_per_epoch)
        self.together = together
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Build the splits; the shards are opened when they are needed."""
        self.train_set = ShuffledShards(self.training_shards, self.together, self.seed)
        self.val_set, self.test_set = self.val_shards, self.test_shards


def _decoded(content: dict[str, bytes], transform: v2.Transform) -> Sample:
    sample: Sample = {}
    if "cls" in content:
        sample["label"] = torch.tensor(int(content["cls"]))
    image = opened(content["jpg"], "RGB")
    if "mask.png" in content:
        mask = tv_tensors.Mask(v2.functional.pil_to_tensor(opened(content["mask.png"], "L")))
        image, mask = transform(image, mask)
        sample["mask"] = mask.as_subclass(Tensor) != 0
    else:
        image = transform(image)
    return sample | {"image": image.as_subclass(Tensor)}


def opened(content: bytes, mode: str) -> Image.Image:
    """Decode an image file into a mode of Pillow's."""
    with Image.open(io.BytesIO(content)) as image:
        return image.convert(mode)


def _within(ends: list[int], index: int) -> tuple[int, int]:
    """Which of consecutive parts that end at `ends` an index is in, and where in it."""
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


@lru_cache(maxsize=2)
def _windows(
    lengths: tuple[int, ...], together: int, seed: int, run: int
) -> tuple[list[list[int]], list[int]]:
    """The shards in the order of a run, parted into those that are mixed; where each part ends."""
    order = torch.randperm(len(lengths), generator=seeded(seed, run)).tolist()
    windows = [order[first : first + together] for first in range(0, len(order), together)]
    return windows, list(accumulate(sum(lengths[shard] for shard in one) for one in windows))


@lru_cache(maxsize=2)
def _permutation(count: int, seed: int, run: int, window: int) -> list[int]:
    mixed: list[int] = torch.randperm(count, generator=seeded(seed, run, window)).tolist()
    return mixed
