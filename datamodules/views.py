"""Pairs of random views of the same image, as in contrastive learning."""

from collections.abc import Sequence

from torch.utils.data import Dataset

from datamodules.base import ImageDataModule, Sample
from datamodules.image_sets import Views, images_of
from datamodules.samples.transforms import view_transform


class TwoViews(Dataset[Sample]):
    """A view of each image, and another one of it as `reference`.

    Args:
        views: two of each image.
    """

    def __init__(self, views: Views) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views) // 2

    def __getitem__(self, index: int) -> Sample:
        return self.views[2 * index] | {"reference": self.views[2 * index + 1]["image"]}


class ViewsDataModule(ImageDataModule):
    """`TwoViews` for every split: there is nothing to train.

    Args:
        images: a folder, or shards; by default the photographs that come as packages.
        size: height and width of the images, in pixels.
        scale: the least and greatest share of an image that a view shows.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        seed: of the views.

    Raises:
        FileNotFoundError: a shard is missing, or there is no image in the folder.
        ModuleNotFoundError: a package is missing.
    """

    def __init__(
        self,
        images: str | list[str] | None = None,
        size: int = 224,
        scale: Sequence[float] = (0.2, 1.0),
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch=batch_size)
        self.views = TwoViews(Views(images_of(images, view_transform(size, scale)), 2, seed))

    def setup(self, stage: str) -> None:
        """Give every split the same views."""
        self.train_set = self.val_set = self.test_set = self.views
