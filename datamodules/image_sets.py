"""Images from a folder, from shards, or from installed packages, and random views of them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset
from torchvision.transforms import v2

from datamodules.base import Sample
from datamodules.errors import DataError
from datamodules.photos import Photographs, package_photographs
from datamodules.samples.checks import check_count, check_path, check_seed
from datamodules.samples.image_listing import images_below
from datamodules.samples.seeding import drawing_from
from datamodules.samples.transforms import evaluation_transform, view_transform
from datamodules.shards import Shards

MOST_OF_AN_IMAGE = 10_000  # views
Source = str | Sequence[str] | None


class NoImageError(DataError, FileNotFoundError):
    """A folder without images."""

    def __str__(self) -> str:
        return str(self.args[0])


def images_of(source: Source, transform: v2.Transform) -> Photographs | Shards:
    """The images of a source, with their classes where it tells them.

    Args:
        source: a folder, in which each class may have a folder of its own; shards (paths, globs,
            or lists in braces); or None: the photographs of scikit-image and foolbox.
        transform: of a PIL image; makes images (3 h w) in [0, 1].

    Raises:
        FileNotFoundError: a shard is missing, or there is no image in the folder.
        ModuleNotFoundError: a package is missing.
    """
    if source is None:
        return Photographs(package_photographs(), None, transform)
    if isinstance(source, str):
        check_path("images", source)
    if not isinstance(source, str) or not Path(source).is_dir():
        return Shards(source, transform)
    folder = Path(source)
    images = images_below(folder)
    if not images:
        raise NoImageError(
            f"no image file in {folder.resolve()}; name a folder of images, or shards"
        )
    files, keys = [image.path for image in images], [image.key for image in images]
    parents = [path.relative_to(folder).parts[0] for path in files if path.parent != folder]
    if len(parents) < len(files):
        return Photographs(files, None, transform, keys)
    labels = {name: label for label, name in enumerate(sorted(set(parents)))}
    return Photographs(files, [labels[name] for name in parents], transform, keys)


def classes_of(
    source: Source, views: int, size: int, crop_fraction: float, scale: Sequence[float], seed: int
) -> "Photographs | Shards | Views":
    """Evaluation images of a source; of the packages, random views, a class a photograph.

    Args:
        source: as for `images_of`.
        views: of each photograph of the packages.
        size: height and width of the images, in pixels.
        crop_fraction: the share of the resized image's side that is kept.
        scale: the least and greatest share of a photograph that a view shows.
        seed: of the views.
    """
    if source is None:
        return Views(images_of(None, view_transform(size, scale)), views, seed)
    return images_of(source, evaluation_transform(size, crop_fraction))


class Views(Dataset[Sample]):
    """Several random views of each image; its number is their label. A seed gives the same views.

    Args:
        images: of a random transform.
        count: views of an image, one after the other.
        seed: another seed, other views.
    """

    def __init__(self, images: Photographs | Shards, count: int, seed: int) -> None:
        check_count("views", count, most=MOST_OF_AN_IMAGE)
        check_seed(seed)
        self.images = images
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count * len(self.images)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        image, view = divmod(index, self.count)
        with drawing_from(self.seed, image, view):
            sample = self.images[image]
        return sample | {"label": torch.tensor(image), "key": f"{sample['key']}-{view}"}

    @property
    def labels(self) -> list[int]:
        """The label of each view."""
        return [index // self.count for index in range(len(self))]
