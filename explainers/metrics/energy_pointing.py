"""Energy-based pointing game: how much of a map lies on the object."""

import torch
from torch import Tensor

from explainers.metrics.parts.image_mean import ImageMean


def require_masks(scores: Tensor, masks: Tensor) -> None:
    """Refuse masks that are not booleans of the maps' shape, which would broadcast into nonsense.

    Args:
        scores: maps (b 1 h w).
        masks: where the object is.

    Raises:
        TypeError: masks are of another type.
        ValueError: masks are of another shape.
    """
    if masks.dtype != torch.bool:
        raise TypeError(f"masks must be bool, got {masks.dtype}; compare them with a threshold")
    if masks.shape != scores.shape:
        raise ValueError(
            f"masks must have the shape of the scores, {tuple(scores.shape)}, "
            f"got {tuple(masks.shape)}"
        )


def energy_pointing(scores: Tensor, masks: Tensor) -> Tensor:
    """Percent (b) of the sum of each map's positive scores that lies inside the mask.

    NaN where nothing is positive, where the mask is empty and for a map with NaN.

    Args:
        scores: maps (b 1 h w) of any range; negative scores count as 0.
        masks: where the object is, bool (b 1 h w).

    Raises:
        TypeError: masks are not bool.
        ValueError: masks are not of the shape of the scores.
    """
    require_masks(scores, masks)
    positive = scores.float().clamp(min=0).flatten(1)
    inside = masks.flatten(1)
    share = (positive * inside).sum(dim=1) / positive.sum(dim=1)
    return torch.where(inside.any(dim=1), 100 * share, torch.nan)


class EnergyPointing(ImageMean):
    """Mean share of a map's positive energy that is inside the object's mask, in percent.

    100 mean(sum of positive scores inside / sum of positive scores); higher is better. A map of
    ones scores the share of the image that the object covers. Defined in Score-CAM
    (https://arxiv.org/abs/1910.01279), with the box as mask.
    """

    higher_is_better = True
    takes = ("scores", "mask")
    per_image = staticmethod(energy_pointing)
