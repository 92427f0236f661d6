"""Gallery for image retrieval: each image is a query among the others."""

from collections.abc import Sequence

from datamodules.base import ImageDataModule
from datamodules.image_sets import classes_of


class GalleryDataModule(ImageDataModule):
    """The same images for every split: there is nothing to train.

    A comparison finds the nearest other image of each (`references: nearest`).

    Args:
        images: a folder, in which each class may have a folder of its own, or shards; by default
            random views of the photographs that come as packages, each of which is a class.
        views: of each photograph of the packages.
        size: height and width of the images, in pixels.
        crop_fraction: the share of the resized image's side that is kept.
        scale: of views, the least and greatest share of a photograph that one shows.
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
        views: int = 2,
        size: int = 224,
        crop_fraction: float = 0.875,
        scale: Sequence[float] = (0.2, 1.0),
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch=batch_size)
        self.images = classes_of(images, views, size, crop_fraction, scale, seed)

    def setup(self, stage: str) -> None:
        """Give every split the same images."""
        self.train_set = self.val_set = self.test_set = self.images
