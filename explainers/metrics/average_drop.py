"""Average drop: confidence lost when only the mapped pixels are kept."""

from torch import Tensor

from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import Kept, Whole


def average_drop(before: Tensor, after: Tensor) -> Tensor:
    """Percent (b) of each of the probabilities (b) that was lost; a gain counts as no loss.

    Args:
        before: the target's probability on the image.
        after: the same on the masked image.
    """
    return 100 * (before - after).clamp(min=0) / before.clamp(min=1e-30)


class AverageDrop(ResponseMetric):
    """Mean relative drop over a data set, in percent; lower is better.

    100 mean([p - o]+ / p), with p the target's probability on the image and o on the masked one.
    Defined in Grad-CAM++ (https://arxiv.org/abs/1710.11063).

    Args:
        percent: share of the map's highest pixels that are kept.
    """

    higher_is_better = False
    per_image = staticmethod(average_drop)

    def __init__(self, percent: float = 100.0) -> None:
        super().__init__()
        self.needs = (Whole(), Kept(percent))
