"""Showing the classifier the image, and the part of it that a map keeps."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from explainers.masking import Fill, black, keep


@dataclass(frozen=True)
class Whole:
    """The image itself."""

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield the images (b 3 h w)."""
        yield images


@dataclass(frozen=True)
class Kept:
    """The image times its map, of which only the highest pixels are left.

    Attributes:
        percent: share of the map's pixels that keep their value; the others are set to 0.
        fill: what shows where the map is 0.
    """

    percent: float = 100.0
    fill: Fill = black

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield the masked images (b 3 h w)."""
        yield keep(images, highest(maps, self.percent), self.fill)


def highest(maps: Tensor, percent: float) -> Tensor:
    """Set all but the highest `percent` of each map's pixels (b 1 h w) to 0.

    Exactly that share stays, rounded to whole pixels; of equal values the first stay.
    """
    if percent == 100:
        return maps
    pixels = maps.flatten(1)
    dropped = pixels.shape[1] - round(pixels.shape[1] * percent / 100)
    order = pixels.flip(1).argsort(dim=1, stable=True)  # lowest first, of equals the last first
    lowest = pixels.shape[1] - 1 - order[:, :dropped]
    return pixels.scatter(1, lowest, 0.0).view_as(maps)
