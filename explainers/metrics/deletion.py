"""Deletion: how soon the classifier loses an image as its top pixels are taken away."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.images.pixel_removal import Fill, black
from explainers.metrics.insertion import area_under_curve, check_step, counts
from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import mark_undefined, ranks


@dataclass(frozen=True)
class Deleted:
    """An image from which the pixels go in the order of the map.

    The first version is the image itself, in the last nothing of it is left; the steps between are
    those of `Inserted`.

    Attributes:
        step: pixels that go at a time, at most.
        baseline: what shows where they were.

    Raises:
        ValueError: there is no such step.
    """

    step: int = 224 * 8
    baseline: Fill = black

    def __post_init__(self) -> None:
        check_step(self.step)

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield ceil(h w / step) + 1 versions (b 3 h w); not all numbers if the map has a NaN."""
        images, order = mark_undefined(images, maps), ranks(maps)
        filling = self.baseline(images)
        for count in counts(order[0].numel(), self.step):
            yield torch.where(order < count, filling, images)


class Deletion(ResponseMetric):
    """Mean area under the target's probability as pixels go, in percent; lower is better.

    Trapezoid of the probability over the share of pixels deleted, most important first. Defined in
    RISE (https://arxiv.org/abs/1806.07421).

    Args:
        step: pixels that go at a time, at most.
        baseline: what shows where they were.
    """

    higher_is_better = False
    is_area = True
    per_image = staticmethod(area_under_curve)

    def __init__(self, step: int = 224 * 8, baseline: Fill = black) -> None:
        super().__init__()
        self.needs = (Deleted(step, baseline),)
