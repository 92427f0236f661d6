"""Perturbations: the whole image, the part that a map keeps, and the order of a map's pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.images.pixel_removal import Fill, black, keep


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


def ranks(maps: Tensor) -> Tensor:
    """Place (b 1 h w) of each pixel of maps (b 1 h w), 0 the highest; the first of equals first."""
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter(1, order, places).view_as(maps)


def mark_undefined(images: Tensor, maps: Tensor) -> Tensor:
    """Make NaN of each of the images (b 3 h w) whose map (b 1 h w) has a NaN, hence no order.

    The classifier's responses are then NaN too, and the metric is not defined for the image.
    """
    undefined = maps.isnan().flatten(1).any(dim=1)
    return images.masked_fill(undefined[:, None, None, None], torch.nan)
