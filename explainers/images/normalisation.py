"""Normalisation of maps to [0, 1]."""

import torch
from torch import Tensor


def min_max(scores: Tensor) -> Tensor:
    """Stretch each image's scores (b 1 h w) to [0, 1]; constant ones are clamped to it."""
    low, high = scores.amin((2, 3), keepdim=True), scores.amax((2, 3), keepdim=True)
    stretched = (scores - low) / (high - low).clamp(min=torch.finfo(scores.dtype).tiny)
    return torch.where(high > low, stretched, scores.clamp(0, 1))
