"""Where batches come from; every datamodule gives the batch of `ImageDataModule`."""

from datamodules.base import ImageDataModule
from datamodules.few_shot import FewShotDataModule
from datamodules.folder import FolderDataModule
from datamodules.gallery import GalleryDataModule
from datamodules.pairs import PairsDataModule
from datamodules.photos import PhotosDataModule
from datamodules.shapes import ShapesDataModule
from datamodules.shards import ShardsDataModule
from datamodules.views import ViewsDataModule

__all__ = [
    "FewShotDataModule",
    "FolderDataModule",
    "GalleryDataModule",
    "ImageDataModule",
    "PairsDataModule",
    "PhotosDataModule",
    "ShapesDataModule",
    "ShardsDataModule",
    "ViewsDataModule",
]
