"""Where batches come from; every datamodule gives the batch of `ImageDataModule`."""

from datamodules.base import ImageDataModule
from datamodules.folder import FolderDataModule
from datamodules.pairs import PairsDataModule
from datamodules.photos import PhotosDataModule
from datamodules.shapes import ShapesDataModule
from datamodules.shards import ShardsDataModule

__all__ = [
    "FolderDataModule",
    "ImageDataModule",
    "PairsDataModule",
    "PhotosDataModule",
    "ShapesDataModule",
    "ShardsDataModule",
]
