"""Grids: mosaics of images of different classes, for metrics that ask for the class of a cell."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError
from datamodules.known_images import Probabilities, known_images
from datamodules.samples.checks import check_count, check_seed, check_side
from datamodules.samples.seeding import seeded

MOST_A_SIDE = 8  # cells; their images can hardly be recognised then


class Mosaics(Dataset[Sample]):
    """The cells of n x n mosaics of images of different classes: n * n samples a mosaic.

    A sample has the `image` of the mosaic (3 size size) in [0, 1], the class of one cell as `label`
    and `target`, and the `mask` (1 size size) of that cell; `group` is the key of the mosaic.
    Mosaic i of a seed is always the same one: each class is as likely as any other, and each image
    of a class.

    Args:
        images: the data set that is drawn from; each image is resized to a cell.
        members: positions in `images`, by class.
        side: n, the cells in a row and in a column.
        length: number of mosaics.
        size: height and width of a mosaic, in pixels.
        seed: another seed, other mosaics.

    Raises:
        DataError: a setting is out of range, or there are fewer classes than cells.
    """

    def __init__(
        self,
        images: Dataset[Sample],
        members: Mapping[int, Sequence[int]],
        side: int,
        length: int,
        size: int,
        seed: int,
    ) -> None:
        _check(side, length, size, seed)
        if len(members) < side**2:
            raise DataError(
                f"a mosaic of {side} x {side} cells needs images of at least {side**2} classes, "
                f"got {len(members)}; lower side or name images of more classes"
            )
        self.images = images
        self.members = {label: list(members[label]) for label in sorted(members)}
        self.side = side
        self.length = length
        self.size = size
        self.seed = seed
        self._latest: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return self.length * self.side**2

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, cell = divmod(index, self.side**2)
        label, _ = self.drawn(number)[cell]
        mask = torch.zeros(1, self.size, self.size, dtype=torch.bool)
        rows, columns = self._pixels(cell)
        mask[:, rows, columns] = True
        return {
            "key": f"{number:04d}-{cell}",
            "group": f"{number:04d}",
            "image": self._mosaic(number).clone(),
            "mask": mask,
            "label": torch.tensor(label),
            "target": torch.tensor(label),
        }

    def drawn(self, number: int) -> list[tuple[int, int]]:
        """The class and the position in `images` of each cell of a mosaic, in reading order."""
        generator = seeded(self.seed, number)
        labels = list(self.members)
        order = torch.randperm(len(labels), generator=generator)[: self.side**2]
        chosen = []
        for label in (labels[place] for place in order.tolist()):
            places = self.members[label]
            place = torch.randint(len(places), (), generator=generator)
            chosen.append((label, places[int(place)]))
        return chosen

    def _mosaic(self, number: int) -> Tensor:
        """The image of a mosaic; the latest is kept, as its cells follow one another."""
        if self._latest is None or self._latest[0] != number:
            image = torch.empty(3, self.size, self.size)
            side = self.size // self.side
            for cell, (_, position) in enumerate(self.drawn(number)):
                rows, columns = self._pixels(cell)
                small = v2.functional.resize(
                    self.images[position]["image"], [side, side], antialias=True
                )
                image[:, rows, columns] = small.clamp(0, 1)
            self._latest = number, image
        return self._latest[1]

    def _pixels(self, cell: int) -> tuple[slice, slice]:
        """Rows and columns of a cell."""
        side = self.size // self.side
        top, left = (side * place for place in divmod(cell, self.side))
        return slice(top, top + side), slice(left, left + side)


class GridsDataModule(ImageDataModule):
    """`Mosaics` of the test images of another datamodule, for every split.

    Only images are used that the explained classifier knows surely: it predicts their label, with
    at least a certain probability; for images without labels, its prediction is their class. So
    `choose` comes before `setup`; `explainers compare` and train.py call it.

    Args:
        data: its test split gives the images; those of the size of a cell, size / side, are shown
            in mosaics as the classifier was shown them alone.
        side: cells in a row and in a column of a mosaic: 2 for 2 x 2.
        length: number of mosaics, each of which gives side * side samples.
        size: height and width of a mosaic, in pixels.
        sure: least probability of the label of an image that is used, in [0, 1].
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        seed: of the mosaics.

    Raises:
        DataError: a setting is out of range.
    """

    def __init__(
        self,
        data: ImageDataModule,
        side: int = 2,
        length: int = 50,
        size: int = 224,
        sure: float = 0.5,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch=batch_size)
        _check(side, length, size, seed)
        if not isinstance(sure, int | float) or not 0 <= sure <= 1:
            raise DataError(f"sure must be a probability in [0, 1], got {sure!r}; 0.5 is usual")
        self.data = data
        self.side = side
        self.length = length
        self.size = size
        self.sure = sure
        self.seed = seed
        self.mosaics: Mosaics | None = None

    def choose(self, probabilities: Probabilities) -> None:
        """Choose the images that the classifier knows surely, and say so in `protocol`.

        Args:
            probabilities: of the classifier: images (b 3 h w) in [0, 1] to (b classes).

        Raises:
            DataError: they are of fewer classes than a mosaic has cells, or too many images cannot
                be read.
        """
        self.data.setup("test")
        members, count = known_images(self.data, probabilities, self.sure)
        images = (
            f"{sum(map(len, members.values()))} of {count} images, of {len(members)} classes, are "
            f"known surely (probability of at least {self.sure})"
        )
        settings = (self.side, self.length, self.size, self.seed)
        try:
            self.mosaics = Mosaics(self.data.test_set, members, *settings)
        except DataError as error:
            raise DataError(f"{error}, or lower sure: {images}") from error
        chance = 100 / self.side**2
        self.protocol = {
            "target": "the class of one cell of the mosaic",
            "images": images,
            "chance": {"grid_pointing": chance, "pointing": chance},
        }

    def setup(self, stage: str) -> None:
        """Give every split the same mosaics; raises DataError before `choose`."""
        if self.mosaics is None:
            raise DataError(
                "the images of mosaics are those that a classifier knows surely, and none was "
                "asked; call choose(probabilities) before setup"
            )
        self.train_set = self.val_set = self.test_set = self.mosaics


def _check(side: int, length: int, size: int, seed: int) -> None:
    check_count("side", side, least=2, most=MOST_A_SIDE)
    check_count("length", length)
    check_side("size", size)
    check_seed(seed)
    if size % side:
        raise DataError(
            f"size must be divisible by side, {side}, got {size}; {size - size % side or side} is"
        )
