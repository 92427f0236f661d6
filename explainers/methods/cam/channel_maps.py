"""Class activation maps: weighted sums of a layer's channels, normalised to masks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.classifier.timm_reader import TimmReader


def channel_maps(
    classifier: FrozenClassifier,
    images: Tensor,
    stage: int | None = None,
    positive_part: bool = True,
) -> Tensor:
    """Feature maps (b channels _ _) of a layer for images (b 3 h w) in [0, 1].

    Args:
        classifier: whose features can be read.
        images: RGB in [0, 1].
        stage: one of the classifier's `stages`. By default its reader's `default_stage`; of timm's
            transformers with one sequence of tokens, what the last block's attention reads: the
            patch tokens after `norm1`.
        positive_part: set negative values to 0.

    Raises:
        InputError: no features of the classifier can be read.
    """
    model: Any = classifier.model
    blocks: Any = getattr(model, "blocks", ())
    norm = None
    timm = isinstance(classifier.reader, TimmReader)
    if stage is None and timm and hasattr(model, "num_prefix_tokens") and len(blocks) > 1:
        norm = getattr(blocks[-1], "norm1", None)
    if norm is not None:
        (tokens,) = model.forward_intermediates(
            classifier.prepare(images),
            indices=[len(blocks) - 2],
            output_fmt="NCHW",
            intermediates_only=True,
            stop_early=True,
        )
        maps: Tensor = norm(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    else:
        default = classifier.reader.default_stage
        (maps,) = classifier.features(images, [default if stage is None else stage])
    return maps.relu() if positive_part else maps


def combine(features: Tensor, logits: Tensor) -> Tensor:
    """Mix features (b channels h w) by the softmax of logits (b channels) into maps (b 1 h w)."""
    weights = logits.softmax(dim=1)[:, None]  # (b 1 channels)
    maps: Tensor = (weights @ features.flatten(2)).unflatten(2, features.shape[2:])
    return maps


def min_to_max(maps: Tensor) -> Tensor:
    """Stretch each map (b 1 h w) to [0, 1]; one that is constant up to rounding becomes zeros."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    limits = torch.finfo(maps.dtype)
    # Interpolation leaves a constant map with differences of a few units in the last place.
    flat = high - low <= (16 * limits.eps * high.abs()).clamp(min=limits.tiny)
    return torch.where(flat, 0, (maps - low) / torch.where(flat, 1, high - low))


def up_to_max(maps: Tensor) -> Tensor:
    """Divide each non-negative map (b 1 h w) by its maximum; zeros stay zeros."""
    high = maps.amax((2, 3), keepdim=True)
    zero = high <= torch.finfo(maps.dtype).tiny
    return maps / torch.where(zero, 1, high)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "minmax": min_to_max,
    "max": up_to_max,
    "sigmoid": torch.sigmoid,
}
"""Normalisations of non-negative maps to masks in [0, 1], by name."""
