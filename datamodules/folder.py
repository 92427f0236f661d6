"""Image files in folders: a folder for each split and, where there are classes, for each class."""

from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError, UnreadableError
from datamodules.samples.checks import check_count, check_path
from datamodules.samples.decoding import decode_sample
from datamodules.samples.image_listing import find_images
from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import evaluation_transform, training_crops


class Files(Dataset[Sample]):
    """The images of a folder or list, one after the other.

    Args:
        source: as `find_images` takes it.
        transform: of a PIL image and, where there is one, its mask with it; makes the image
            (3 h w) in [0, 1].
        at_least: as `Shards` takes it.
        num_classes: as `Shards` takes it.

    Attributes:
        classes: the folders of the classes, in the order of their labels; None without them.

    Raises:
        DataError: there is no image, or which class it is of is not clear.
    """

    def __init__(
        self,
        source: str | Path,
        transform: v2.Transform,
        at_least: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        check_path("the source of the images", source)
        if num_classes is not None:
            check_count("num_classes", num_classes)
        self.num_classes = num_classes
        self.source = Path(source)
        self.images, self.classes = find_images(self.source)
        self.transform = transform
        self.at_least = at_least
        self.lengths: tuple[int, ...] = (len(self.images),)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.read(0, index)

    def read(self, part: int, position: int) -> Sample:
        """Decode one image; all are in part 0.

        Raises:
            UnreadableError: it cannot be.
        """
        image = self.images[position]
        extension = image.path.suffix[1:].lower()
        try:
            content = {extension: image.path.read_bytes()}
            if image.mask is not None:
                content["mask.png"] = image.mask.read_bytes()
            if image.label is not None:
                content["cls"] = str(image.label).encode()
            parts = decode_sample(content, self.at_least, self.num_classes)
        except (ValueError, OSError) as error:
            raise UnreadableError(str(self.source), str(image.path), str(error)) from error
        return {"key": image.key} | parts.transformed(self.transform)


class FolderDataModule(ImageDataModule):
    """Trains and evaluates on image files: ImageFolder's layout, a flat folder, or a list.

    For many images on a network's disk, pack them into shards instead.

    Args:
        train: folder or list to train on: of one folder a class, or of images; or a file with a
            path (and a class) a line. `NAME.mask.png` beside `NAME.jpg` is its mask.
        val: to validate on.
        test: to test on.
        size: height and width of the images, in pixels.
        resize: for training, the shorter side before the random crop, in pixels.
        scale: for training, crop a random share of the image between these two instead, and
            resize the crop: for photographs that are few.
        crops: for training, number of different crops of an image, one a run through all images;
            with few, their features can be kept (`explainers.callbacks.feature_cache`). By
            default, each is a new one.
        crop_fraction: for evaluation, the share of the resized image's side that is kept.
        interpolation: of all resizing.
        batch_size: samples in a batch, on each process.
        num_workers: processes that prepare samples, on each process.
        samples_per_epoch: length of a training epoch, over all processes; by default each image
            once.
        seed: of the order and the crops in training.
        draft: for training, decode large JPEGs at a half, a quarter or an eighth of their size,
            whichever still has the pixels that a crop needs; faster, and slightly other pixels.
        max_bad: unreadable images that are left out, on each process, before a run stops.
        num_classes: of the classifier; an image of a class beyond them counts as unreadable. By
            default, every class is taken.

    Raises:
        DataError: there is no image, or which class it is of is not clear.
        DataError: a setting is out of range.
    """

    def __init__(
        self,
        train: str,
        val: str,
        test: str,
        size: int = 224,
        resize: int = 256,
        scale: list[float] | None = None,
        crops: int | None = None,
        crop_fraction: float = 0.875,
        interpolation: Literal["bilinear", "bicubic"] = "bilinear",
        batch_size: int = 32,
        num_workers: int = 4,
        samples_per_epoch: int | None = None,
        seed: int = 0,
        draft: bool = False,
        max_bad: int = 10,
        num_classes: int | None = None,
    ) -> None:
        for name, source in (("train", train), ("val", val), ("test", test)):
            check_path(name, source)
        evaluation = evaluation_transform(size, crop_fraction, interpolation)
        training, needed = training_crops(size, resize, scale, interpolation)
        self.training_files = Files(train, training, needed if draft else None, num_classes)
        self.val_files, self.test_files = (
            Files(source, evaluation, None, num_classes) for source in (val, test)
        )
        _check_same([self.training_files, self.val_files, self.test_files])
        if samples_per_epoch is None:
            samples_per_epoch = len(self.training_files)
        super().__init__(batch_size, num_workers, samples_per_epoch, max_bad)
        self.classes = self.training_files.classes
        self.stream = ShuffledShards(self.training_files, together=1, seed=seed, crops=crops)

    def setup(self, stage: str) -> None:
        """Build the splits; the files are opened when they are needed."""
        self.train_set = self.stream
        self.val_set, self.test_set = self.val_files, self.test_files


def _check_same(splits: list[Files]) -> None:
    """Refuse splits in which one label would mean several classes."""
    named = [split for split in splits if split.classes is not None]
    for split in named[1:]:
        differing = set(split.classes or ()) ^ set(named[0].classes or ())
        if differing:
            raise DataError(
                f"{named[0].source} and {split.source} have other folders of classes "
                f"({min(differing)!r} is in one only), so that labels would not mean the same; "
                "give both the same folders"
            )
