"""Photographs that installed Python packages carry: enough to try everything without a hub."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import UnreadableError
from datamodules.samples.checks import check_count, check_seed
from datamodules.samples.image_files import decode_image
from datamodules.samples.seeding import drawing_from, seeded
from datamodules.samples.transforms import evaluation_transform, random_scale_transform

TRAINING_PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


class Photographs(Dataset[Sample]):
    """Image files in order, cropped as classifiers are evaluated.

    Args:
        files: the images.
        labels: the class of each, or None where nobody knows it.
        transform: PIL image to tensor (3 h w) in [0, 1].
        keys: names of the images, no two alike; by default those of their files.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: Sequence[int] | None,
        transform: v2.Transform,
        keys: Sequence[str] | None = None,
    ) -> None:
        self.files = files
        self.labels = labels
        self.transform = transform
        self.keys = [path.stem for path in files] if keys is None else keys

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = {
            "image": self.transform(_decoded(self.files[index])),
            "key": self.keys[index],
        }
        if self.labels is not None:
            sample["label"] = torch.tensor(self.labels[index])
        return sample


class Crops(Dataset[Sample]):
    """An endless stream of random crops; item n of a seed is always the same one.

    Every run of as many items as there are files shows each file once.

    Args:
        files: the images; held in memory once read.
        transform: random; PIL image to tensor (3 h w) in [0, 1].
        seed: another seed, another stream.
        crops: of each file, before they come again; None for ever others.
    """

    def __init__(
        self, files: Sequence[Path], transform: v2.Transform, seed: int, crops: int | None = None
    ) -> None:
        self.files = files
        self.transform = transform
        self.seed = seed
        self.crops = crops
        self._images: dict[int, Image.Image] = {}

    def __getitem__(self, item: int) -> Sample:
        run, position = divmod(item, len(self.files))
        run = run if self.crops is None else run % self.crops
        order = torch.randperm(len(self.files), generator=seeded(self.seed, run))
        index = int(order[position])
        if index not in self._images:
            self._images[index] = _decoded(self.files[index])
        with drawing_from(self.seed, run, position):
            image = self.transform(self._images[index])
        return {"image": image, "key": f"{self.files[index].stem}-{item}"}


class PhotosDataModule(ImageDataModule):
    """Trains on scikit-image's photographs, validates and tests on foolbox's 20 of ImageNet.

    Both packages come with `pip install "learned-explainers[demo]"`. The training photographs
    have no labels: the explainers ask the classifier. The ImageNet ones are in none of them.

    Args:
        size: height and width of the images, in pixels.
        crop_fraction: for evaluation, the share of the resized image's side that is kept.
        scale: for training, the least and greatest share of a photograph that a crop shows.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        samples_per_epoch: crops in a training epoch.
        seed: of the training crops.
        crops: of each training photograph, before they come again, which caches and teachers gain
            from; by default ever other ones.

    Raises:
        ModuleNotFoundError: a package is missing.
    """

    def __init__(
        self,
        size: int = 224,
        crop_fraction: float = 0.875,
        scale: Sequence[float] = (0.08, 1.0),
        batch_size: int = 16,
        num_workers: int = 1,
        samples_per_epoch: int = 960,
        seed: int = 0,
        crops: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch)
        self.training = random_scale_transform(size, scale)
        self.evaluation = evaluation_transform(size, crop_fraction)
        check_seed(seed)
        if crops is not None:
            check_count("crops", crops)
        self.seed = seed
        self.crops = crops
        self.training_files = _training_photographs()
        self.evaluation_files = _imagenet_photographs()

    def setup(self, stage: str) -> None:
        """Build the splits; the photographs are read when they are needed."""
        labels = [int(path.stem.rpartition("_")[2]) for path in self.evaluation_files]
        self.train_set = Crops(self.training_files, self.training, self.seed, self.crops)
        self.val_set = self.test_set = Photographs(self.evaluation_files, labels, self.evaluation)


def package_photographs() -> list[Path]:
    """All of them, in a fixed order; raises ModuleNotFoundError if a package is missing."""
    return _training_photographs() + _imagenet_photographs()


def _training_photographs() -> list[Path]:
    return [_package_data("skimage", "scikit-image") / name for name in TRAINING_PHOTOGRAPHS]


def _imagenet_photographs() -> list[Path]:
    return sorted(_package_data("foolbox", "foolbox").glob("imagenet_*.jpg"))


def _decoded(path: Path) -> Image.Image:
    try:
        return decode_image(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UnreadableError(str(path.parent), path.name, str(error)) from error


def _package_data(module: str, package: str) -> Path:
    """The folder of pictures inside an installed package."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"the photographs of {package} are not installed; "
            'run: pip install "learned-explainers[demo]"'
        )
    return Path(spec.origin).parent / "data"
