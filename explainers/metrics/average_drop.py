"""Average drop: how much confidence is lost when only the mapped pixels are kept."""

from torch import Tensor

from explainers.metrics.base import ImageMean


def relative_drop(before: Tensor, after: Tensor) -> Tensor:
    """Fraction (b) of each probability that was lost, in [0, 1]; a gain counts as no loss."""
    return (before - after).clamp(min=0) / before.clamp(min=1e-30)


class AverageDrop(ImageMean):
    """Mean relative drop over a data set, in percent; lower is better.

    100 mean([p - o]+ / p), with p the target's probability on the image and o on the masked one.
    Defined in Grad-CAM++ (https://arxiv.org/abs/1710.11063), section 4.1.
    """

    higher_is_better = False

    def per_image(self, before: Tensor, after: Tensor) -> Tensor:
        """Percent lost, from the target's probabilities (b) on the image and the masked image."""
        return 100 * relative_drop(before, after)
