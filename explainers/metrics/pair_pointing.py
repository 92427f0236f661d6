"""Pointing at one of two objects: the target's, or the other one."""

import torch
from torch import Tensor

from explainers.metrics.energy_pointing import EnergyPointing, energy_pointing
from explainers.metrics.parts.image_mean import ImageMean


class EnergyOnOther(EnergyPointing):
    """Mean share of a map's positive energy on the object not asked for, in percent."""

    higher_is_better = False
    takes = ("scores", "other_mask")


def right_object(scores: Tensor, masks: Tensor, other_masks: Tensor) -> Tensor:
    """Percent (b), 0 or 100: whether more positive energy is on the object than on the other one.

    50 where both get the same; NaN as `energy_pointing`.

    Args:
        scores: maps (b 1 h w) of any range; negative scores count as 0.
        masks: the object asked for, bool (b 1 h w).
        other_masks: the other object, bool (b 1 h w).
    """
    right, wrong = energy_pointing(scores, masks), energy_pointing(scores, other_masks)
    return torch.where((right + wrong).isnan(), torch.nan, 50 + 50 * (right - wrong).sign())


class RightObject(ImageMean):
    """Percent of the maps with more positive energy on the object asked for than on the other.

    50 where each image is asked for both of its objects and the map does not depend on it.
    """

    higher_is_better = True
    takes = ("scores", "mask", "other_mask")
    per_image = staticmethod(right_object)
