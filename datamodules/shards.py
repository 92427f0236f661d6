"""WebDataset shards: tar files of `KEY.jpg`, and `KEY.cls` and `KEY.mask.png` where known.

Samples are read by their position in a shard rather than streamed: a fit resumes at any sample,
and evaluation gives every sample once to any number of processes and workers.
"""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError, DuplicateKeyError, UnreadableError
from datamodules.samples.checks import check_count, check_patterns
from datamodules.samples.decoding import decode_sample
from datamodules.samples.image_files import EXTENSIONS
from datamodules.samples.labels import label_of
from datamodules.samples.order import ShuffledShards, within
from datamodules.samples.transforms import evaluation_transform, training_crops
from datamodules.samples.unreadable import DUPLICATE
from datamodules.shard_files.fetching import CACHE
from datamodules.shard_files.index import (
    Sizes,
    expected_members,
    find_shards,
    index_of,
    members_of,
)
from datamodules.shard_files.info import recorded_classes, recorded_lengths
from datamodules.shard_files.names import check_key


class Shards(Dataset[Sample]):
    """The samples of tar files, one after the other.

    Args:
        patterns: paths, globs, http(s) URLs, or `pipe:` and a shell command that prints a shard,
            each with lists in braces (`name-{0000..0063}.tar`).
        transform: of a PIL image and, where there is one, its mask with it; makes the image
            (3 h w) in [0, 1].
        at_least: decode large JPEGs at a fraction of their size that leaves this many pixels a
            side; None to decode all of every image.
        cache: folder that shards are fetched to that are not on a disk.
        num_classes: labels from this number on make a sample unreadable; None to take them all.

    Raises:
        MissingShardError: a shard is missing, or a glob finds none.
        DataError: the `_info.json` beside a shard cannot be used, or there is no sample.
    """

    def __init__(
        self,
        patterns: str | Sequence[str],
        transform: v2.Transform,
        at_least: int | None = None,
        cache: str | Path = CACHE,
        num_classes: int | None = None,
    ) -> None:
        if num_classes is not None:
            check_count("num_classes", num_classes)
        self.num_classes = num_classes
        self.shards = find_shards(patterns, cache)
        self.transform = transform
        self.at_least = at_least
        self.lengths = tuple(
            len(index_of(shard.path)) if length is None else length
            for shard, length in zip(self.shards, recorded_lengths(self.shards), strict=True)
        )
        self._ends = list(accumulate(self.lengths))
        if not len(self):
            named = ", ".join(shard.address for shard in self.shards[:3])
            more = ", …" if len(self.shards) > 3 else ""
            raise DataError(f"no sample in {named}{more}; fetch or pack it again, or name others")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.read(*within(self._ends, index))

    @property
    def labels(self) -> list[int] | None:
        """The class of each sample, read without its image; None if one has none."""
        labels = []
        for path in (shard.path for shard in self.shards):
            for position, (key, members) in enumerate(index_of(path)):
                if "cls" not in members:
                    return None
                content = members_of(path, position, ["cls"])["cls"]
                try:
                    labels.append(label_of(content, self.num_classes))
                except ValueError as error:
                    raise UnreadableError(str(path), key, str(error)) from error
        return labels

    def read(self, shard: int, position: int) -> Sample:
        """Decode one sample of a shard.

        Raises:
            UnreadableError: it cannot be.
            DataError: the shard is not what its `_info.json` or its format promises.
        """
        path = self.shards[shard].path
        index = index_of(path)
        if len(index) != self.lengths[shard]:
            raise DataError(
                f"{path} holds {len(index)} samples, and the _info.json beside it says "
                f"{self.lengths[shard]}; fetch the shard again, or correct that file"
            )
        key, members = index[position]
        try:
            content = members_of(path, position, _wanted(path, key, members))
            parts = decode_sample(content, self.at_least, self.num_classes)
        except DataError:
            raise
        except ValueError as error:
            raise UnreadableError(self.shards[shard].address, key, str(error)) from error
        sample = {"key": key} | parts.transformed(self.transform)
        if key in index.repeated:
            sample[DUPLICATE] = DuplicateKeyError(
                self.shards[shard].address,
                key,
                "is there more than once; all are used (python -m datamodules.pack --check names "
                "every such key)",
            )
        return sample


class ShardsDataModule(ImageDataModule):
    """Trains and evaluates on WebDataset shards, such as ImageNet in timm's format.

    Training resizes and crops at random and flips; evaluation resizes and crops the centre. The
    number of samples in each shard is taken from the `_info.json` beside it, or counted.

    Args:
        train: shards to train on: paths, globs, http(s) URLs, or `pipe:` and a shell command that
            prints a shard, each with lists in braces (`name-{0000..0063}.tar`).
        val: shards to validate on.
        test: shards to test on.
        size: height and width of the images, in pixels.
        resize: for training, the shorter side before the random crop, in pixels.
        scale: for training, crop a random share of the image between these two instead, and
            resize the crop: for photographs that are few.
        crops: for training, number of different crops of an image, one a run through all images;
            with few, their features can be kept (`explainers.callbacks.feature_cache`). By
            default, each is a new one.
        crop_fraction: for evaluation, the share of the resized image's side that is kept.
        interpolation: of all resizing.
        together: the shuffle window: number of shards whose training samples are shuffled with each
            other.
        batch_size: samples in a batch, on each process.
        num_workers: processes that prepare samples, on each process.
        samples_per_epoch: length of a training epoch, over all processes; by default each sample
            once.
        seed: of the order and the crops in training.
        draft: for training, decode large JPEGs at a half, a quarter or an eighth of their size,
            whichever still has the pixels that a crop needs; faster, and slightly other pixels.
        max_bad: unreadable samples that are left out, on each process, before a run stops.
        cache: folder that shards are fetched to that are not on a disk; it needs room for all.
        num_classes: of the classifier; a sample of a class beyond them counts as unreadable. By
            default, every class is taken.

    Raises:
        MissingShardError: a shard is missing, or a glob finds none.
        DataError: a setting is out of range, an `_info.json` cannot be used, or a split is empty.
    """

    def __init__(
        self,
        train: str | list[str],
        val: str | list[str],
        test: str | list[str],
        size: int = 224,
        resize: int = 256,
        scale: list[float] | None = None,
        crops: int | None = None,
        crop_fraction: float = 0.875,
        interpolation: Literal["bilinear", "bicubic"] = "bilinear",
        together: int = 8,
        batch_size: int = 32,
        num_workers: int = 4,
        samples_per_epoch: int | None = None,
        seed: int = 0,
        draft: bool = False,
        max_bad: int = 10,
        cache: str = str(CACHE),
        num_classes: int | None = None,
    ) -> None:
        for name, patterns in (("train", train), ("val", val), ("test", test)):
            check_patterns(name, patterns)
        evaluation = evaluation_transform(size, crop_fraction, interpolation)
        training, needed = training_crops(size, resize, scale, interpolation)
        at_least = needed if draft else None
        self.training_shards = Shards(train, training, at_least, cache, num_classes)
        self.val_shards = Shards(val, evaluation, None, cache, num_classes)
        self.test_shards = Shards(test, evaluation, None, cache, num_classes)
        if samples_per_epoch is None:
            samples_per_epoch = len(self.training_shards)
        super().__init__(batch_size, num_workers, samples_per_epoch, max_bad)
        self.classes = recorded_classes(self.training_shards.shards)
        self.stream = ShuffledShards(self.training_shards, together, seed, crops)

    def setup(self, stage: str) -> None:
        """Build the splits; the shards are opened when they are needed."""
        self.train_set = self.stream
        self.val_set, self.test_set = self.val_shards, self.test_shards


def _wanted(path: Path, key: str, members: Sizes) -> list[str]:
    """The members of a sample to read; ValueError if one that it should have is missing."""
    check_key(key)
    image = next((name for name in EXTENSIONS if name in members), None)
    if image is None:
        raise ValueError(f"has no jpg or other image, only {', '.join(members)}")
    expected = expected_members(path)
    for name in expected:
        if name not in members:
            raise ValueError(f"has no {name}, and others of its shard have")
    return [image, *expected]
