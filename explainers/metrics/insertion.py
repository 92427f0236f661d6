"""Insertion: area under the response as an image's top pixels come into view."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from explainers.images.pixel_removal import Fill
from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import mark_undefined, ranks


@dataclass(frozen=True)
class Inserted:
    """A blurred image into which the pixels of the image come in the order of the map.

    The first version is the blurred image, the last the image itself. All steps are of equal size
    to within a pixel, and no larger than asked: so the last is not shorter than the others, and
    the area under the responses needs no word on where they were taken.

    Attributes:
        step: pixels that come in at a time, at most.
        sigma: standard deviation of the Gaussian, in pixels of an image whose shorter side is
            224; it grows with the image.
        start: the first version, instead of the blurred image.

    Raises:
        ValueError: there is no such step or no such Gaussian.
    """

    step: int = 224 * 8
    sigma: float = 5.0
    start: Fill | None = None

    def __post_init__(self) -> None:
        check_step(self.step)
        if self.sigma <= 0:
            raise ValueError(f"sigma must be over 0 to blur anything, got {self.sigma}")

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield ceil(h w / step) + 1 versions (b 3 h w); all NaN for a map that has a NaN."""
        images, order = mark_undefined(images, maps), ranks(maps)
        start = self.start(images) if self.start else blur(images, self.sigma)
        for count in counts(order[0].numel(), self.step):
            yield torch.where(order < count, images, start)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Blur images (b 3 h w) with a Gaussian of `sigma` / 224 of their shorter side."""
    side = min(images.shape[-2:])
    sigma = sigma * side / 224
    # Three standard deviations, not the one of RISE's code: a cut Gaussian blurs less than it says.
    radius = min(ceil(3 * sigma), side - 1)
    blurred: Tensor = gaussian_blur(images, [2 * radius + 1] * 2, [sigma, sigma])
    return blurred


def counts(pixels: int, step: int) -> list[int]:
    """Number of pixels done after each of the equal steps of at most `step`, 0 to all."""
    steps = ceil(pixels / step)
    return [round(pixels * done / steps) for done in range(steps + 1)]


def check_step(step: int) -> None:
    """Refuse a step of no pixels."""
    if step < 1:
        raise ValueError(f"step must be at least 1 pixel to get anywhere, got {step}")


def area_under_curve(responses: Tensor) -> Tensor:
    """Area (b) under the probabilities (b n) at n evenly spaced shares of the pixels, in percent.

    Args:
        responses: the target's probability, from the share 0 to the share 1.
    """
    return 100 * torch.trapezoid(responses, dim=1) / (responses.shape[1] - 1)


class Insertion(ResponseMetric):
    """Mean area under the target's probability as pixels come in, in percent; higher is better.

    Trapezoid of the probability over the share of pixels inserted into the blurred image, most
    important first. Defined in RISE (https://arxiv.org/abs/1806.07421).

    Args:
        step: pixels that come in at a time, at most.
        sigma: standard deviation of the Gaussian that the image starts from, in pixels of an
            image whose shorter side is 224.
        start: the image that pixels come into, instead of the blurred one.
    """

    higher_is_better = True
    is_area = True
    per_image = staticmethod(area_under_curve)

    def __init__(self, step: int = 224 * 8, sigma: float = 5.0, start: Fill | None = None) -> None:
        super().__init__()
        self.needs = (Inserted(step, sigma, start),)
