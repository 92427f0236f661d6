"""Compactness: share of a map's entries that are nearly 0."""

from functools import partial

import torch
from torch import Tensor

from explainers.metrics.parts.image_mean import ImageMean


def compactness(scores: Tensor, of_positive: bool = False) -> Tensor:
    """Percent (b) of each map's entries whose size is at most 5 % of the largest.

    NaN for a map in which nothing is large, as one of zeros, and for a map with NaN.

    Args:
        scores: maps (b 1 h w) of any range.
        of_positive: the largest is the maximum, not the maximum of the sizes.
    """
    values = scores.float().flatten(1)
    sizes = values.abs()
    largest = (values if of_positive else sizes).amax(dim=1, keepdim=True)
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


class CompactnessOfPositive(Compactness):
    """Compactness over the largest positive entry, in percent; higher is better.

    100 mean(|s| <= 0.05 max s), as in the code of CDAM (https://arxiv.org/abs/2312.02364). Not
    defined for a map without positive entries; lower than `Compactness` where the largest entry is
    negative, and the same elsewhere.
    """

    per_image = staticmethod(partial(compactness, of_positive=True))
