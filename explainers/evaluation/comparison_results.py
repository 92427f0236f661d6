"""The results of a comparison, and the progress of one method."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from explainers.evaluation.records import Row
from explainers.images.labelled_maps import LabelledMap


@dataclass
class Progress:
    """The progress of one method, kept on the disk after every batch."""

    batches: int = 0
    seconds: float = 0.0
    passes: int = 0
    records: list[Row] = field(default_factory=list)
    curves: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict)
    failures: list[Row] = field(default_factory=list)
    pictures: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of images so far."""
        return len(self.records) + len(self.failures)


@dataclass(frozen=True)
class Pictured:
    """An image and the maps of all methods, to be drawn.

    Attributes:
        key: of the image.
        image: (3 h w) in [0, 1].
        maps: by the name of the row; a method that failed on a pictured image is left out.
        reference: what it was compared with (3 h w); of several, the first.
    """

    key: str
    image: Tensor
    maps: dict[str, LabelledMap]
    reference: Tensor | None = None


@dataclass(frozen=True)
class Results:
    """Everything that a comparison found.

    Attributes:
        protocol: plain values that the figures depend on.
        rows: one a method: figures, intervals, costs, curves, failures.
        records: one an image and method.
        references: how often the nearest reference is of the image's class, where that is known.
        pictures: a few images with their maps.
    """

    protocol: Row
    rows: list[Row]
    records: list[Row]
    references: Row | None
    pictures: list[Pictured]


def first_of(picture: Tensor) -> Tensor:
    """The first of several references (k 3 h w); a picture (3 h w) as it is."""
    return picture[0] if picture.ndim > 3 else picture
