"""Base datamodule: resumable loaders over three splits, and the batch that they give."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.errors import DataError
from datamodules.samples.checks import MOST_WORKERS, check_count
from datamodules.samples.order import evenly_spread
from datamodules.samples.resuming import arguments_of, differing_settings
from datamodules.samples.unreadable import (
    CountingLoader,
    ReplaceUnreadable,
    Sample,
    SkipUnreadable,
    UnreadableSamples,
)

__all__ = [
    "ImageDataModule",
    "ResumableLoader",
    "Sample",
    "StreamBatches",
]

logger = logging.getLogger(__name__)

PATIENCE = 1800  # seconds without a batch after which workers are taken for stuck


class ImageDataModule(LightningDataModule):
    """Loaders over three splits.

    A batch is a dict with `image` (b 3 h w), float32 RGB in [0, 1], and, where the data set has
    them, `label` (b) int64, `mask` (b 1 h w) bool and `key`, a list of b names. An image to compare
    each with is its `reference` (b 3 h w), or several (b k 3 h w) whose mean embedding counts;
    samples of one `group`, a list of b names, are not independent. `target` (b) int64 is the class
    that is explained; without it, that is the predicted one.

    The training set is an endless stream: item n is always the same crop of the same picture. An
    epoch is the next `samples_per_epoch` of it, so a fit can be resumed at any step. The others
    are read in order, every sample once, whatever the number of processes; one that has none gets
    one empty batch.

    Subclasses implement `setup`, which assigns `train_set`, `val_set` and `test_set`.

    Attributes:
        classes: names of the classes, in the order of their labels; None where data do not tell.
        protocol: plain values that results say of the evaluation on these data.

    Args:
        batch_size: samples in a batch, on each process.
        num_workers: processes that prepare samples, on each process.
        samples_per_epoch: length of a training epoch, over all processes; at least one batch.
        max_bad: unreadable samples that are left out, on each process, before a run stops; a
            training batch gets others in their place.

    Raises:
        DataError: a setting is out of range.
    """

    classes: list[str] | None = None
    protocol: Mapping[str, Any] = {}
    train_set: Dataset[Sample]
    val_set: Dataset[Sample]
    test_set: Dataset[Sample]

    def __init__(
        self, batch_size: int, num_workers: int, samples_per_epoch: int, max_bad: int = 0
    ) -> None:
        super().__init__()
        check_count("batch_size", batch_size)
        check_count("num_workers", num_workers, least=0, most=MOST_WORKERS)
        check_count("samples_per_epoch", samples_per_epoch)
        check_count("max_bad", max_bad, least=0)
        self._given = arguments_of(self)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.samples_per_epoch = samples_per_epoch
        self.unreadable = UnreadableSamples(max_bad)
        self._train_loader: ResumableLoader | None = None
        self._position = {"next_batch": 0}

    def choose(self, probabilities: Callable[[Tensor], Tensor]) -> None:
        """Choose images by a classifier's probabilities (b classes); by default, keep them all."""

    def train_dataloader(self) -> "ResumableLoader":
        """The next epoch of the stream; the last short batch is left out.

        Raises:
            DataError: an epoch is less than one batch.
        """
        rank, world = _process()
        batches = self.samples_per_epoch // (world * self.batch_size)
        if batches == 0:
            raise DataError(
                f"an epoch of {self.samples_per_epoch} samples is less than one batch of "
                f"{self.batch_size} on {world} processes; lower batch_size, or set "
                "samples_per_epoch: a stream goes round as often as it takes"
            )
        order = StreamBatches(batches, self.batch_size, rank, world)
        stream = ReplaceUnreadable(self.train_set, self.unreadable)
        self._train_loader = ResumableLoader(stream, batch_sampler=order, **self.loader_options())
        self._train_loader.load_state_dict(self._position)
        return self._train_loader

    def state_dict(self) -> dict[str, Any]:
        """Position of training in the stream, and the settings that it is counted by.

        Lightning restores this before it asks for a loader. It would restore the loader's own
        state too late: a schedule that asks for the number of steps makes it read the loader
        first.
        """
        position = self._train_loader.state_dict() if self._train_loader else self._position
        return position | {"settings": self._settings()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a position in the stream, and log what differs from the checkpoint's settings.

        Raises:
            DataError: batches or epochs are of another length, which a fit cannot go on with.
        """
        settings = state_dict.get("settings")  # earlier versions kept the position only
        fitting = self.trainer is not None and self.trainer.state.fn == "fit"
        line = differing_settings(settings, self._settings()) if settings and fitting else None
        if line:
            rank_zero_only(logger.warning)(line)
        self._position = {"next_batch": state_dict["next_batch"]}

    def _settings(self) -> dict[str, Any]:
        """Plain values that the training stream depends on, and the seed of the run."""
        return self._given | {
            "data set": type(self).__name__,
            "samples_per_epoch": self.samples_per_epoch,
            "processes": _process()[1],
            "accumulate_grad_batches": getattr(self.trainer, "accumulate_grad_batches", 1),
            "seed_everything": os.environ.get("PL_GLOBAL_SEED"),
        }

    def val_dataloader(self) -> DataLoader[Sample]:
        """A loader over the split in order, every sample once."""
        return self._evaluation_loader(self.val_set)

    def test_dataloader(self) -> DataLoader[Sample]:
        """A loader over the split in order, every sample once."""
        return self._evaluation_loader(self.test_set)

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The test split, in order, every sample once."""
        return self.test_dataloader()

    def test_images(self, count: int) -> Tensor:
        """Images (b 3 h w) spread evenly over the test split; of `count`, those that are readable.

        Raises:
            DataError: none of them is readable.
        """
        positions = evenly_spread(count, len(self.test_set))  # type: ignore[arg-type]
        unreadable = UnreadableSamples(count)
        batch = SkipUnreadable(self.test_set, positions, unreadable).__getitems__(
            list(range(len(positions)))
        )
        unreadable.add(batch["unreadable"])
        images: Tensor = batch["image"]
        return images

    def _evaluation_loader(self, split: Dataset[Sample]) -> DataLoader[Sample]:
        rank, world = _process()
        mine = SkipUnreadable(split, range(rank, len(split), world), self.unreadable)  # type: ignore[arg-type]
        return CountingLoader(mine, batch_size=self.batch_size, **self.loader_options())

    def loader_options(self) -> dict[str, Any]:
        """Arguments of every loader."""
        return {
            "num_workers": self.num_workers,
            "collate_fn": _as_it_is,  # the datasets give whole batches
            "timeout": PATIENCE if self.num_workers else 0,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": torch.cuda.is_available(),
        }


class StreamBatches(Sampler[list[int]]):
    """Positions in the training stream, a batch at a time: consecutive, dealt out to the ranks.

    Args:
        batches: batches in an epoch, on each rank.
        batch_size: samples in a batch, on each rank.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(self, batches: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self.batches = batches
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.next_batch = 0  # counted from the beginning of training

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        """The rest of the epoch that `next_batch` is in."""
        end = (self.next_batch // self.batches + 1) * self.batches
        step = self.batch_size * self.world
        for batch in range(self.next_batch, end):
            first = batch * step + self.rank * self.batch_size
            yield list(range(first, first + self.batch_size))


class ResumableLoader(CountingLoader):
    """Loader over `StreamBatches` that counts the batches given, not those that are prepared."""

    batch_sampler: StreamBatches

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override]
        """Give the rest of the current epoch, and count."""
        for batch in super().__iter__():
            self.batch_sampler.next_batch += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The number of batches given since the beginning of training."""
        return {"next_batch": self.batch_sampler.next_batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after that many batches."""
        self.batch_sampler.next_batch = state["next_batch"]


def _as_it_is(batch: Sample) -> Sample:
    return batch


def _process() -> tuple[int, int]:
    """This process's rank and the number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
