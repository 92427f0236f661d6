"""Average increase: how often keeping only the mapped pixels raises the confidence."""

from torch import Tensor

from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import Kept, Whole


def average_increase(before: Tensor, after: Tensor) -> Tensor:
    """100 where the probability (b) rose, 0 where it fell or stayed.

    Args:
        before: the target's probability on the image.
        after: the same on the masked image.
    """
    return 100 * (after > before).float()


class AverageIncrease(ResponseMetric):
    """Share of images whose confidence rises, in percent; higher is better.

    100 mean(p < o). It counts a trivial rise like any other, so it is never read without
    `AverageGain`. Also called IC; defined in Grad-CAM++ (https://arxiv.org/abs/1710.11063).

    Args:
        percent: share of the map's highest pixels that are kept.
    """

    higher_is_better = True
    per_image = staticmethod(average_increase)

    def __init__(self, percent: float = 100.0) -> None:
        super().__init__()
        self.needs = (Whole(), Kept(percent))
