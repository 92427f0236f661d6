"""Average gain: how much of the missing confidence keeping only the mapped pixels adds."""

from torch import Tensor

from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import Kept, Whole


def average_gain(before: Tensor, after: Tensor) -> Tensor:
    """Percent (b) of the distance to certainty that was gained; 0 where there was none.

    Args:
        before: the target's probability (b) on the image.
        after: the same on the masked image.
    """
    return 100 * (after - before).clamp(min=0) / (1 - before).clamp(min=1e-30)


class AverageGain(ResponseMetric):
    """Mean relative gain over a data set, in percent; higher is better.

    100 mean([o - p]+ / (1 - p)), with p the target's probability on the image and o on the masked
    one. Defined in Opti-CAM (https://arxiv.org/abs/2301.07002): unlike the average
    increase, it gives a map that changes next to nothing next to nothing.

    Args:
        percent: share of the map's highest pixels that are kept.
    """

    higher_is_better = True
    per_image = staticmethod(average_gain)

    def __init__(self, percent: float = 100.0) -> None:
        super().__init__()
        self.needs = (Whole(), Kept(percent))
