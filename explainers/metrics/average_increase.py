"""Average increase: how often keeping only the mapped pixels raises the confidence."""

from torch import Tensor

from explainers.metrics.base import ImageMean


def increased(before: Tensor, after: Tensor) -> Tensor:
    """1 where the probability (b) rose, 0 where it fell or stayed."""
    return (after > before).float()


class AverageIncrease(ImageMean):
    """Share of images whose confidence rises, in percent; higher is better.

    100 mean(p < o). It counts a trivial rise like any other, so it is never read without
    `AverageGain`. Also called IC; defined in Grad-CAM++ (https://arxiv.org/abs/1710.11063).
    """

    higher_is_better = True

    def per_image(self, before: Tensor, after: Tensor) -> Tensor:
        """0 or 100, from the target's probabilities (b) on the image and the masked image."""
        return 100 * increased(before, after)
