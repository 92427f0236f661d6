"""Lightning datamodules of images; each gives the batch of `ImageDataModule`.

Everything in `__all__` is loaded when it is first asked for, so that a file of this package that
knows nothing of Lightning can be imported without it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import ImageDataModule
    from datamodules.few_shot import FewShotDataModule
    from datamodules.folder import FolderDataModule
    from datamodules.gallery import GalleryDataModule
    from datamodules.grids import GridsDataModule
    from datamodules.pairs import PairsDataModule
    from datamodules.photos import PhotosDataModule
    from datamodules.scenes import ScenesDataModule
    from datamodules.shapes import ShapesDataModule
    from datamodules.shards import ShardsDataModule
    from datamodules.views import ViewsDataModule

__all__ = [
    "FewShotDataModule",
    "FolderDataModule",
    "GalleryDataModule",
    "GridsDataModule",
    "ImageDataModule",
    "PairsDataModule",
    "PhotosDataModule",
    "ScenesDataModule",
    "ShapesDataModule",
    "ShardsDataModule",
    "ViewsDataModule",
]

_MODULES = {
    "FewShotDataModule": "few_shot",
    "FolderDataModule": "folder",
    "GalleryDataModule": "gallery",
    "GridsDataModule": "grids",
    "ImageDataModule": "base",
    "PairsDataModule": "pairs",
    "PhotosDataModule": "photos",
    "ScenesDataModule": "scenes",
    "ShapesDataModule": "shapes",
    "ShardsDataModule": "shards",
    "ViewsDataModule": "views",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any public name
    """Import a public name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}")
    return getattr(importlib.import_module(f"datamodules.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Every public name."""
    return sorted({*globals(), *__all__})
