"""Scenes: drawn objects of different classes on clutter, a data set whose right maps are known."""

from collections.abc import Sequence
from math import hypot, pi

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError
from datamodules.samples.checks import check_count, check_seed, check_side
from datamodules.samples.drawn_objects import CLASSES, Place, drawn
from datamodules.samples.seeding import seeded

MOST_OBJECTS = 4
LEAST_SIZE = 48  # pixels; textures of smaller objects are not seen
TRIES = 20  # of places, before an object is left out that does not fit beside the others


class Scenes(Dataset[Sample]):
    """Images of one to four objects; what is asked for is the class of the first of them.

    An object is a shape of `drawn_objects.SHAPES` with a texture of `TEXTURES`, in random colours,
    at a random place, size and angle; both together are its class. All objects of a scene are of
    different classes and lie apart. Behind them are a rough gradient, noise, and lines, which are
    of no class.

    A sample has `image` (3 size size), `label` and `target` (the class of the first object), `mask`
    (its pixels), `other_mask` (those of all other objects), `classes` (15) bool, all classes
    that are there, and `key`.

    Args:
        length: number of images.
        size: height and width, in pixels.
        objects: least and greatest number of objects; fewer where they do not fit.
        seed: sample i of a seed is always the same.
        endless: begin again after the last image.

    Raises:
        DataError: a setting is out of range.
    """

    def __init__(
        self, length: int, size: int, objects: Sequence[int], seed: int, endless: bool = False
    ) -> None:
        _check(size, objects)
        check_count("length", length)
        check_seed(seed)
        self.length = length
        self.size = size
        self.objects = tuple(objects)
        self.seed = seed
        self.endless = endless

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if self.endless:
            index %= self.length
        if not 0 <= index < self.length:
            raise IndexError(index)
        generator = seeded(self.seed, index)
        image = background(self.size, generator)
        least, most = self.objects
        count = int(torch.randint(least, most + 1, (), generator=generator))
        labels = torch.randperm(len(CLASSES), generator=generator)[:count].tolist()
        masks, classes = [], torch.zeros(len(CLASSES), dtype=torch.bool)
        for label, place in zip(labels, self._places(count, generator), strict=False):
            image, pixels = drawn(image, label, place, _colours(generator))
            masks.append(pixels)
            classes[label] = True
        label = torch.tensor(labels[0])
        others = torch.stack([torch.zeros_like(masks[0]), *masks[1:]]).any(dim=0)
        image = image + 0.03 * torch.randn(image.shape, generator=generator)
        return {
            "key": f"{index:06d}",
            "image": image.clamp(0, 1),
            "label": label,
            "target": label.clone(),
            "mask": masks[0][None],
            "other_mask": others[None],
            "classes": classes,
        }

    def _places(self, count: int, generator: torch.Generator) -> list[Place]:
        """Places for up to `count` objects that lie apart, at least one."""
        found: list[Place] = []
        for _ in range(TRIES * count):
            radius, top, left, turn = torch.rand(4, generator=generator).tolist()
            radius = self.size * (0.14 + 0.07 * radius)
            room = self.size - 2 * radius
            place = Place(radius + top * room, radius + left * room, radius, 2 * pi * turn)
            if all(_apart(place, other) for other in found):
                found.append(place)
            if len(found) == count:
                break
        return found


class ScenesDataModule(ImageDataModule):
    """`Scenes`, split by seed; training goes round `length` images.

    Args:
        length: images that training sees, before they come again.
        held_out: images in validation and in test.
        size: height and width of the images, in pixels.
        objects: least and greatest number of objects in an image, 1 to 4.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        samples_per_epoch: images in a training epoch.
        seed: another seed, other scenes in all splits.

    Raises:
        DataError: a setting is out of range.
    """

    classes = CLASSES

    def __init__(
        self,
        length: int = 10_000,
        held_out: int = 200,
        size: int = 64,
        objects: Sequence[int] = (1, 3),
        batch_size: int = 32,
        num_workers: int = 0,
        samples_per_epoch: int = 3200,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch)
        _check(size, objects)
        check_count("length", length)
        check_count("held_out", held_out)
        check_seed(seed)
        self.length = length
        self.held_out = held_out
        self.size = size
        self.objects = tuple(objects)
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Build the splits; there is nothing to read from disk."""
        settings = (self.size, self.objects)
        first = 3 * self.seed
        self.train_set = Scenes(self.length, *settings, first, endless=True)
        self.val_set = Scenes(self.held_out, *settings, first + 1)
        self.test_set = Scenes(self.held_out, *settings, first + 2)


def background(size: int, generator: torch.Generator) -> Tensor:
    """A rough gradient with lines across it (3 size size), in [0, 1]."""
    coarse = 0.25 + 0.5 * torch.rand(1, 3, 4, 4, generator=generator)
    image = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    for _ in range(4):
        angle, offset, *colour = torch.rand(5, generator=generator).tolist()
        normal = torch.tensor([pi * angle]).sin(), torch.tensor([pi * angle]).cos()
        distance = (rows - size / 2) * normal[0] + (columns - size / 2) * normal[1]
        line = (distance - size * (offset - 0.5)).abs() < 0.8
        image = torch.where(line, torch.tensor(colour)[:, None, None], image)
    return image


def _colours(generator: torch.Generator) -> Tensor:
    """Two colours (2 3), one dark and one light, in random order."""
    first, second = torch.rand(2, 3, generator=generator)
    pair = torch.stack([0.35 * first, 0.65 + 0.35 * second])
    return pair.flip(0) if torch.rand((), generator=generator) < 0.5 else pair


def _apart(one: Place, other: Place) -> bool:
    return hypot(one.top - other.top, one.left - other.left) > one.radius + other.radius


def _check(size: int, objects: Sequence[int]) -> None:
    check_side("size", size)
    if size < LEAST_SIZE:
        raise DataError(f"size must be at least {LEAST_SIZE} pixels, got {size}")
    numbers = list(objects) if isinstance(objects, Sequence) else []
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
    if len(numbers) != 2 or not whole or not 1 <= numbers[0] <= numbers[1] <= MOST_OBJECTS:
        raise DataError(
            f"objects must be two whole numbers, the least and the greatest of 1 to {MOST_OBJECTS}, "
            f"got {objects!r}; [1, 3] is usual"
        )
