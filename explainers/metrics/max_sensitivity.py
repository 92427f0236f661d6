"""Max-sensitivity: how far a map moves when the image hardly does."""

from collections.abc import Callable

import torch
from torch import Tensor

from explainers.metrics.parts.image_mean import ImageMean


def max_sensitivity(
    explain: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    target: Tensor,
    radius: float = 0.02,
    count: int = 10,
    seed: int = 0,
) -> Tensor:
    """Largest relative change of each image's map over noisy copies of the image.

    max over n of ||map(x + n) - map(x)|| / ||map(x)||, in the Euclidean norm, with every value of
    n uniform in [-radius, radius]. Yeh et al. 2019 (https://arxiv.org/abs/1901.09392), by Monte
    Carlo, and relative to the map's own size, so that methods on different scales compare. The
    noisy copies are not clamped to [0, 1]: black and white pixels move as far as others.

    Args:
        explain: maps images (b 3 h w) and the target to scores (b 1 h w).
        images: (b 3 h w) in [0, 1].
        target: what to explain, on the noisy copies as well; its first dimension is b.
        radius: of the noise, as a share of the range from black to white.
        count: noisy copies an image.
        seed: of the noise, which is the same for every image.

    Returns:
        (b), 0 or more; NaN where the map is zero throughout, or one of them not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = explain(images, target).detach().flatten(1)
    largest = torch.zeros_like(scores[:, 0])
    for _ in range(count):
        noise = (2 * torch.rand(images.shape[1:], generator=generator) - 1) * radius
        noisy = explain(images + noise.to(images), target).detach().flatten(1)
        largest = torch.maximum(largest, (noisy - scores).norm(dim=1))
    relative: Tensor = largest / scores.norm(dim=1)
    return relative.where(relative.isfinite(), torch.nan)


def _as_given(values: Tensor) -> Tensor:
    return values


class MaxSensitivity(ImageMean):
    """Mean of the largest relative changes over a data set; lower is better.

    `update` takes what the function `max_sensitivity` returns: 0.1 says that imperceptible noise
    moves the map by a tenth of its norm. A map that ignores the image gets a perfect 0.
    """

    takes = ("sensitivity",)
    higher_is_better = False
    per_image = staticmethod(_as_given)
