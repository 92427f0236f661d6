"""Pointing game: whether the peak of a map is on the object."""

import torch
from torch import Tensor

from explainers.metrics.energy_pointing import require_masks
from explainers.metrics.parts.image_mean import ImageMean


def pointing(scores: Tensor, masks: Tensor) -> Tensor:
    """Whether (b) each map's highest pixel is inside the mask: 100 or 0.

    Of equal pixels the first in reading order counts. NaN for a constant map, which points
    nowhere, where the mask is empty and for a map with NaN.

    Args:
        scores: maps (b 1 h w) of any range.
        masks: where the object is, bool (b 1 h w).

    Raises:
        TypeError: masks are not bool.
        ValueError: masks are not of the shape of the scores.
    """
    require_masks(scores, masks)
    pixels, inside = scores.flatten(1), masks.flatten(1)
    hits = inside.gather(1, pixels.argmax(dim=1, keepdim=True))[:, 0]
    defined = (pixels.amax(dim=1) > pixels.amin(dim=1)) & inside.any(dim=1)
    return torch.where(defined, 100 * hits.float(), torch.nan)


class Pointing(ImageMean):
    """Share of images whose map peaks inside the object's mask, in percent; higher is better.

    Defined in Excitation Backprop (https://arxiv.org/abs/1608.00507), where a peak within 15
    pixels of the object still hits and the mean is over classes. Here there is no such tolerance,
    and the mean is over images.
    """

    higher_is_better = True
    takes = ("scores", "mask")
    per_image = staticmethod(pointing)
