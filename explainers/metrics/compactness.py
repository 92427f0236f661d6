"""Compactness: how much of a map is as good as empty."""

import torch
from torch import Tensor

from explainers.metrics.image_mean import ImageMean


def compactness(scores: Tensor) -> Tensor:
    """Percent (b) of each map's entries whose size is at most 5 % of the largest.

    NaN for a map of zeros, in which nothing is large, and for a map with NaN.

    Args:
        scores: maps (b 1 h w) of any range; their sign does not count.
    """
    sizes = scores.float().abs().flatten(1)
    largest = sizes.amax(dim=1, keepdim=True)
    share = (sizes <= 0.05 * largest).float().mean(dim=1)
    return torch.where(largest[:, 0] > 0, 100 * share, torch.nan)


class Compactness(ImageMean):
    """Mean share of a map's entries that are nearly 0, in percent; higher is better.

    100 mean(|s| <= 0.05 max |s|) over the entries s of a map. A single bright pixel is the most
    compact map there is, wherever it lies: never report this without a metric of faithfulness.
    """

    higher_is_better = True
    takes = ("scores",)
    per_image = staticmethod(compactness)
