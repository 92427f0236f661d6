"""Shapes: bright squares on noise, a synthetic data set with known labels and masks."""

import torch
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError
from datamodules.samples.checks import check_count, check_side
from datamodules.samples.seeding import seeded


class Shapes(Dataset[Sample]):
    """Images of dim noise with one bright square; its quadrant is the label, its pixels the mask.

    Args:
        length: number of images; None for an endless stream.
        size: height and width in pixels; even.
        seed: sample i of a seed is always the same image.
    """

    def __init__(self, length: int | None, size: int, seed: int) -> None:
        _check(size)
        if length is not None:
            check_count("length", length)
        self.length = length
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("an endless stream has no length")
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if self.length is not None and not 0 <= index < self.length:
            raise IndexError(index)
        generator = seeded(self.seed, index)
        label = torch.randint(4, (), generator=generator)
        half = self.size // 2
        top, left = int(label) // 2 * half, int(label) % 2 * half
        mask = torch.zeros(1, self.size, self.size, dtype=torch.bool)
        mask[:, top : top + half, left : left + half] = True
        noise = torch.rand(3, self.size, self.size, generator=generator)
        image = 0.5 * noise + 0.5 * mask
        return {"image": image, "label": label, "mask": mask, "key": f"{index:06d}"}


class ShapesDataModule(ImageDataModule):
    """`Shapes`, split by seed.

    Args:
        length: images in validation and in test.
        size: height and width in pixels; even.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        samples_per_epoch: images in a training epoch.
    """

    def __init__(
        self,
        length: int = 64,
        size: int = 32,
        batch_size: int = 8,
        num_workers: int = 0,
        samples_per_epoch: int = 64,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch)
        _check(size)
        check_count("length", length)
        self.length = length
        self.size = size

    def setup(self, stage: str) -> None:
        """Build the splits; there is nothing to read from disk."""
        self.train_set = Shapes(None, self.size, seed=0)
        self.val_set = Shapes(self.length, self.size, seed=1)
        self.test_set = Shapes(self.length, self.size, seed=2)


def _check(size: int) -> None:
    check_side("size", size)
    if size % 2:
        raise DataError(f"size must be even to have four quadrants, got {size}; add one")
