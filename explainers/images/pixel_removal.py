"""Removal of pixels: the part of an image that is kept, and fills for the rest.

Images are in [0, 1] pixel space, so `black` is pixel value 0 for every network, whatever it
subtracts afterwards; a map trained with one fill and scored with another loses for no reason.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from explainers.images.interpolation import interpolate

Fill = Callable[[Tensor], Tensor]
"""Maps images (b 3 h w) to what replaces their removed pixels, of a shape that broadcasts."""

Removal = Callable[[Tensor, Tensor], Tensor]
"""Maps images (b 3 h w) and the part of each pixel that is kept (b 1 h w) in [0, 1] to images."""


def black(images: Tensor) -> Tensor:
    """Pixel value 0, as in the papers of the TAME family."""
    return images.new_zeros(())


def mean(images: Tensor) -> Tensor:
    """The mean colour of each image (b 3 1 1)."""
    return images.mean(dim=(-2, -1), keepdim=True)


def blur(images: Tensor) -> Tensor:
    """Each image (b 3 h w), blurred with a Gaussian of a sixteenth of its shorter side."""
    sigma = min(images.shape[-2:]) / 16
    radius = min(round(3 * sigma), min(images.shape[-2:]) - 1)
    blurred: Tensor = gaussian_blur(images, [2 * radius + 1] * 2, [sigma, sigma])
    return blurred


def noise(images: Tensor) -> Tensor:
    """Uniform noise (1 3 h w), the same for every image and every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, *images.shape[1:], generator=generator).to(images)


def other_image(images: Tensor) -> Tensor:
    """The image before each one in the batch: objects where others were."""
    return images.roll(1, dims=0)


FILLS: dict[str, Fill] = {"black": black, "mean": mean, "blur": blur, "noise": noise}
"""Fills of one image alone by name, which metrics can use."""


def keep(images: Tensor, maps: Tensor, fill: Fill = black) -> Tensor:
    """Fade the pixels of images (b 3 h w) that maps (b 1 h w) call unimportant into `fill`."""
    if fill is black:
        return images * maps
    return torch.lerp(fill(images).expand_as(images), images, maps)


def delete(images: Tensor, maps: Tensor, fill: Fill = black) -> Tensor:
    """Fade the pixels of images (b 3 h w) that maps (b 1 h w) call important into `fill`."""
    return keep(images, 1 - maps, fill)


def in_fill(images: Tensor, maps: Tensor) -> Tensor:
    """Fade the pixels of images (b 3 h w) into what those of maps (b 1 h w) over a half suggest.

    Interpolated linearly from them, as ROAD does, without gradient; where a map has none of these,
    the image's mean colour.
    """
    with torch.no_grad():
        removed = maps <= 0.5
        whole = removed.all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
        filled = interpolate(images, removed & ~whole)
        filled = filled.where(~whole, mean(images))
    return torch.lerp(filled, images, maps)


REMOVALS: dict[str, Removal] = {
    name: partial(keep, fill=fill) for name, fill in (FILLS | {"other_image": other_image}).items()
} | {"in_fill": in_fill}
"""Removals of pixels by name, for objectives."""
