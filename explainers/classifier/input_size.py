"""Which sizes of images a network takes."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from explainers.classifier.features import require_timm


def nearest_size(
    model: nn.Module, size: Sequence[int], made_for: tuple[int, int]
) -> tuple[int, int]:
    """The size (h w) in pixels nearest to `size` that a model can take.

    Args:
        model: timm's, or any other, which takes the one it was made for.
        size: height and width wished for.
        made_for: the size that it was made for.
    """
    height, width = size
    config: Any = getattr(model, "pretrained_cfg", None)
    if config is None:
        return made_for
    if getattr(model, "dynamic_img_size", False):
        patch = require_timm(model, "size").patch_embed.patch_size
        return (
            max(1, round(height / patch[0])) * patch[0],
            max(1, round(width / patch[1])) * patch[1],
        )
    return made_for if config.get("fixed_input_size") else (height, width)
