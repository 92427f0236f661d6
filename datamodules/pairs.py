"""Pairs: images of two objects, with a mask and a reference image of each object."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError, UnreadableError
from datamodules.samples.checks import check_patterns
from datamodules.samples.image_files import decode_image
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.index import find_shards, index_of, members_of
from datamodules.shard_files.names import check_key

OBJECTS = ("a", "b")


class Pairs(Dataset[Sample]):
    """The objects of the images of tar files, one after the other: two samples an image.

    An image is `KEY.jpg`, its objects are `KEY.mask_a.png` and `KEY.mask_b.png`, and images of
    objects of their kinds `KEY.ref_a.jpg` and `KEY.ref_b.jpg`. A sample has `image`, the
    `reference` of one object, its `mask`, and the `other_mask` of the other object; `group` is the
    key of the image.

    Args:
        patterns: paths, globs, or lists in braces (`name-{0000..0063}.tar`).
        transform: of a PIL image and its masks with it; makes images (3 h w) in [0, 1].

    Raises:
        FileNotFoundError: a shard is missing, or a glob finds none.
    """

    def __init__(self, patterns: str | Sequence[str], transform: v2.Transform) -> None:
        self.images = [
            (shard.path, position)
            for shard in find_shards(patterns)
            for position in range(len(index_of(shard.path)))
        ]
        if not self.images:
            raise DataError(f"no sample in {patterns}; name shards that hold some")
        self.transform = transform

    def __len__(self) -> int:
        return len(OBJECTS) * len(self.images)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        path, position = self.images[index // len(OBJECTS)]
        target = OBJECTS[index % len(OBJECTS)]
        (other,) = set(OBJECTS) - {target}
        key, _ = index_of(path)[position]
        try:
            check_key(key)
            parts = self._parts(path, position, target, other)
        except DataError:
            raise
        except ValueError as error:
            raise UnreadableError(str(path), key, str(error)) from error
        image, mask, other_mask = self.transform(*parts[:3])
        return {
            "key": f"{key}-{target}",
            "group": key,
            "image": image.as_subclass(Tensor),
            "mask": mask.as_subclass(Tensor) != 0,
            "other_mask": other_mask.as_subclass(Tensor) != 0,
            "reference": self.transform(parts[3]).as_subclass(Tensor),
        }

    def _parts(
        self, path: Path, position: int, target: str, other: str
    ) -> tuple[Image.Image, tv_tensors.Mask, tv_tensors.Mask, Image.Image]:
        """Decode image, both masks, and reference; ValueError if that is not possible."""
        _, members = index_of(path)[position]
        needed = ["jpg", f"mask_{target}.png", f"mask_{other}.png", f"ref_{target}.jpg"]
        missing = [name for name in needed if name not in members]
        if missing:
            raise ValueError(f"has no {missing[0]}, only {', '.join(members)}")
        content = members_of(path, position, needed)
        image, reference = (decode_image(content[name], "RGB") for name in (needed[0], needed[3]))
        first, second = (
            tv_tensors.Mask(v2.functional.pil_to_tensor(decode_image(content[name], "L")))
            for name in needed[1:3]
        )
        return image, first, second, reference


class PairsDataModule(ImageDataModule):
    """`Pairs` for every split: there is nothing to train.

    Args:
        test: shards: paths, globs, or lists in braces.
        size: height and width of the images, in pixels.
        crop_fraction: the share of the resized image's side that is kept.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        max_bad: unreadable images that are left out before a run stops.

    Raises:
        FileNotFoundError: a shard is missing, or a glob finds none.
    """

    def __init__(
        self,
        test: str | list[str],
        size: int = 224,
        crop_fraction: float = 1.0,
        batch_size: int = 20,
        num_workers: int = 0,
        max_bad: int = 10,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch=batch_size, max_bad=max_bad)
        check_patterns("test", test)
        self.pairs = Pairs(test, evaluation_transform(size, crop_fraction))

    def setup(self, stage: str) -> None:
        """Give every split the same pairs."""
        self.train_set = self.val_set = self.test_set = self.pairs
