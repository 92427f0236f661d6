"""ROAD: what the classifier still predicts when pixels are removed so that it cannot tell which.

Removed pixels are interpolated from those around them: a removed pixel that stands out, as a black
one does, tells the classifier the shape of the mask, which a good map should not be paid for.
Remove and Debias, https://arxiv.org/abs/2202.00449.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from explainers.images.interpolation import interpolate
from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import mark_undefined, ranks

PERCENTS = tuple(range(10, 100, 10))


@dataclass(frozen=True)
class Imputed:
    """An image with a share of its pixels, from one end of the map, imputed from the others.

    Of pixels that the map calls equal the first are removed first, from either end.

    Attributes:
        most_relevant_first: remove the pixels from the top of the map, not from the bottom.
        percents: shares of the pixels to remove, rounded down to whole pixels.
        noise: standard deviation of what is added to imputed pixels, in [0, 1] like the pixels;
            the same noise for every image and share. Results are not clamped to [0, 1].
        seed: of the noise.

    Raises:
        ValueError: a share leaves nothing to remove or nothing to impute from.
    """

    most_relevant_first: bool
    percents: tuple[float, ...] = PERCENTS
    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for percent in self.percents:
            if not 0 < percent < 100:
                raise ValueError(f"percents must be over 0 and under 100, got {percent}")

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield one version (b 3 h w) a share; all NaN for a map that has a NaN."""
        images = mark_undefined(images, maps)
        order = ranks(maps if self.most_relevant_first else -maps)
        generator = torch.Generator().manual_seed(self.seed)
        noise = self.noise * torch.randn(1, *images.shape[1:], generator=generator).to(images)
        for percent in self.percents:
            removed = order < int(order[0].numel() * percent / 100)
            yield torch.where(removed, interpolate(images, removed) + noise, images)


def mean_response(responses: Tensor) -> Tensor:
    """Mean (b) of responses (b n) in [0, 1] over the shares removed, in percent."""
    return 100 * responses.float().mean(dim=1)


class Road(ResponseMetric):
    """Mean response over the shares removed; base of the four metrics.

    Args:
        percents: shares of the pixels to remove; a single one gives the figure at that share.
        noise: standard deviation of what is added to imputed pixels, in [0, 1] like the pixels.
        seed: of the noise.
    """

    most_relevant_first: ClassVar[bool]
    per_image = staticmethod(mean_response)

    def __init__(
        self, percents: Sequence[float] = PERCENTS, noise: float = 0.01, seed: int = 0
    ) -> None:
        super().__init__()
        self.needs = (Imputed(self.most_relevant_first, tuple(percents), noise, seed),)


class RoadMoRFProbability(Road):
    """The target's probability, most relevant pixels removed first, in percent; lower is better."""

    higher_is_better = False
    most_relevant_first = True


class RoadMoRF(RoadMoRFProbability):
    """Accuracy against the original prediction, most relevant first, in percent; lower is better."""

    reads = "hit"


class RoadLeRFProbability(Road):
    """The target's probability, least relevant pixels removed first, in percent; higher is better."""

    higher_is_better = True
    most_relevant_first = False


class RoadLeRF(RoadLeRFProbability):
    """Accuracy against the original prediction, least relevant first, in percent; higher is better."""

    reads = "hit"
