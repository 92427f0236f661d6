"""Similarity of two maps: Pearson's and Spearman's correlation, structural similarity."""

import torch
from torch import Tensor

from explainers.errors import InputError

# Wang et al.: the window, its standard deviation in pixels, and the constants for values in [0, 1].
WINDOW, SIGMA = 11, 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of each two maps over their pixels.

    Args:
        first: (b 1 h w), on any scale.
        second: likewise.

    Returns:
        (b) in [-1, 1]; NaN where one of the two maps is constant or not finite.
    """
    total = (_standardised(first.flatten(1)) * _standardised(second.flatten(1))).sum(dim=1)
    return total.clamp(-1, 1).float()


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Rank correlation of each two maps: Pearson's, of the ranks of their pixels.

    Pixels of equal value share the mean of the ranks that they take up.

    Args:
        first: (b 1 h w), on any scale.
        second: likewise.

    Returns:
        (b) in [-1, 1]; NaN where one of the two maps is constant or not finite.
    """
    return pearson(_ranks(first), _ranks(second))


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of each two maps, each stretched to [0, 1] by its own min and max.

    Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861): a Gaussian window of 11 pixels and
    standard deviation 1.5, averaged over the places where it fits into the map.

    Args:
        first: (b 1 h w), on any scale.
        second: likewise.

    Returns:
        (b) in [-1, 1]; NaN where one of the two maps is constant or not finite.

    Raises:
        InputError: the maps are smaller than the window.
    """
    if min(first.shape[-2:]) < WINDOW:
        raise InputError(
            f"SSIM needs maps of at least {WINDOW} x {WINDOW} pixels, got "
            f"{first.shape[-2]} x {first.shape[-1]}"
        )
    a = _stretched(first.flatten(1)).view_as(first)
    b = _stretched(second.flatten(1)).view_as(second)
    moments = _blurred(torch.cat([a, b, a * a, b * b, a * b], dim=1))  # (b 5 _ _)
    mean_a, mean_b, square_a, square_b, product = moments.unbind(dim=1)
    covariance = product - mean_a * mean_b
    variances = square_a - mean_a**2 + square_b - mean_b**2
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    structure = (2 * covariance + CONTRAST) / (variances + CONTRAST)
    return (luminance * structure).mean(dim=(1, 2))


def _standardised(values: Tensor) -> Tensor:
    """Bring rows (b n) to mean 0 and length 1; to NaN where they are constant or not finite."""
    values = _stretched(values).double()  # stretched, as squares of tiny scores would underflow
    values = values - values.mean(dim=1, keepdim=True)
    length: Tensor = values.norm(dim=1, keepdim=True)
    return values / length


def _stretched(values: Tensor) -> Tensor:
    """Bring rows (b n) to [0, 1]; to NaN where they are constant or not finite."""
    values = values.float()
    low, high = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
    return (values - low) / (high - low)


def _ranks(maps: Tensor) -> Tensor:
    """Rank the pixels of maps (b 1 h w), from 1; NaN throughout a map that is not finite."""
    pixels = maps.flatten(1).contiguous()
    ordered = pixels.sort(dim=1).values
    below = torch.searchsorted(ordered, pixels)
    up_to = torch.searchsorted(ordered, pixels, right=True)
    ranks = (below + up_to + 1) / 2
    finite = pixels.isfinite().all(dim=1, keepdim=True)
    return ranks.where(finite, torch.nan)


def _blurred(maps: Tensor) -> Tensor:
    """Average maps (b n h w) under the window, wherever it fits: (b n h-10 w-10)."""
    distances = torch.arange(WINDOW) - WINDOW // 2
    weights = torch.exp(-(distances**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    # Not a convolution: on GPUs those round to 10 bits, which drowns the variances.
    for axis in (2, 3):
        length = maps.shape[axis] - WINDOW + 1
        shifted = [maps.narrow(axis, start, length) for start in range(WINDOW)]
        maps = torch.stack(
            [weight * part for weight, part in zip(weights.tolist(), shifted, strict=True)]
        ).sum(dim=0)
    return maps
