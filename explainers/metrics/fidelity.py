"""Fidelity: area between the responses to removing the least and the most important first."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.images.pixel_removal import Fill, black
from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import mark_undefined, ranks


@dataclass(frozen=True)
class Removed:
    """An image without a growing share of its pixels, from one end of the map.

    Of pixels that the map calls equal the first go first, from either end.

    Attributes:
        most_relevant_first: take the pixels from the top of the map, not from the bottom.
        steps: into how many equal shares the pixels are parted. The ends, where none and where
            all are removed, are left out: there the order shows nothing.
        baseline: what shows where the pixels were.

    Raises:
        ValueError: so few steps leave nothing between the ends.
    """

    most_relevant_first: bool
    steps: int = 10
    baseline: Fill = black

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"steps must be at least 2 to have a share between, got {self.steps}")

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield steps - 1 versions (b 3 h w); not all numbers for a map that has a NaN."""
        images = mark_undefined(images, maps)
        order = ranks(maps if self.most_relevant_first else -maps)
        filling = self.baseline(images)
        for done in range(1, self.steps):
            count = round(order[0].numel() * done / self.steps)
            yield torch.where(order < count, filling, images)


def fidelity(least_first: Tensor, most_first: Tensor) -> Tensor:
    """Area (b) between two curves (b n) over the share of pixels removed, in logits.

    The trapezoid from 0 to 1 over n + 1 equal steps. Both curves start at the whole image and end
    at the empty one, so the ends add nothing and are not among the n.

    Args:
        least_first: the target's logit as the least important pixels go first.
        most_first: the same as the most important go first.
    """
    return (least_first - most_first).sum(dim=1) / (least_first.shape[1] + 1)


class Fidelity(ResponseMetric):
    """Mean area between the LeRF and the MoRF curve of the target, in logits; higher is better.

    The perturbation correctness of CDAM (https://arxiv.org/abs/2312.02364). A map that is the same
    everywhere scores 0.

    Args:
        steps: into how many equal shares the pixels are parted, of which all but the last are
            shown.
        baseline: what shows where the removed pixels were.
    """

    higher_is_better = True
    reads = "logit"
    per_image = staticmethod(fidelity)

    def __init__(self, steps: int = 10, baseline: Fill = black) -> None:
        super().__init__()
        self.needs = (Removed(False, steps, baseline), Removed(True, steps, baseline))
