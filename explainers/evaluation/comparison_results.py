"""The results of a comparison, and the progress of one method."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from explainers.evaluation.records import Row

GIVEN = ("image", "reference")
"""Parts of a batch that are pictured beside each method's overlay."""


@dataclass
class Progress:
    """The progress of one method, kept on the disk after every batch."""

    batches: int = 0
    seconds: float = 0.0
    passes: int = 0
    records: list[Row] = field(default_factory=list)
    curves: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict)
    failures: list[Row] = field(default_factory=list)
    pictures: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of images so far."""
        return len(self.records) + len(self.failures)


@dataclass(frozen=True)
class Results:
    """Everything that a comparison found.

    Attributes:
        protocol: plain values that the figures depend on.
        rows: one a method: figures, intervals, costs, curves, failures.
        records: one an image and method.
        references: how often the nearest reference is of the image's class, where that is known.
        pictures: of a few images (3 h w): `image`, `reference` where there are any, and each
            method's overlay; a method that failed on one of them is left out.
    """

    protocol: Row
    rows: list[Row]
    records: list[Row]
    references: Row | None
    pictures: dict[str, list[Tensor]]


def first_of(picture: Tensor) -> Tensor:
    """The first of several references (k 3 h w); a picture (3 h w) as it is."""
    return picture[0] if picture.ndim > 3 else picture


def columns_of(
    pictures: Mapping[str, Mapping[int, Mapping[str, Tensor]]],
) -> dict[str, list[Tensor]]:
    """Pictures by column, in the order of their positions, from those of each method."""
    everything = {position: shown for of in pictures.values() for position, shown in of.items()}
    positions = sorted(everything)
    columns = {
        part: [everything[position][part] for position in positions]
        for part in GIVEN
        if positions and part in everything[positions[0]]
    }
    return columns | {
        name: [shown[position]["overlay"] for position in positions]
        for name, shown in pictures.items()
        if shown and shown.keys() == everything.keys()
    }
