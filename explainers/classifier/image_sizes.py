"""Sizes of images that a network takes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import InputError

LARGE_ENOUGH = 64  # pixels a side; smaller images than this, some networks do not take


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
    if getattr(model, "dynamic_img_size", False):
        embedding: Any = model.patch_embed
        patch = embedding.patch_size
        return (
            max(1, round(height / patch[0])) * patch[0],
            max(1, round(width / patch[1])) * patch[1],
        )
    config: Any = getattr(model, "pretrained_cfg", None)
    if config is None or config.get("fixed_input_size"):
        return made_for
    return height, width


@torch.inference_mode()
def require_size(
    model: nn.Module, forward: Callable[[Tensor], Tensor], size: Sequence[int]
) -> None:
    """Refuse a size (h w) of images below the smallest that a model takes.

    Raises:
        InputError: it is; the message names the smallest multiple of 8 that works.
    """
    if min(size) >= LARGE_ENOUGH or _takes(forward, size):
        return
    smallest = next(
        (side for side in range(8, LARGE_ENOUGH + 1, 8) if _takes(forward, (side, side))), None
    )
    if smallest is not None:
        raise InputError(
            f"size {list(size)} is too small for a {type(model).__name__}; choose at least "
            f"[{smallest}, {smallest}]"
        )


def _takes(forward: Callable[[Tensor], Tensor], size: Sequence[int]) -> bool:
    try:
        return bool(forward(torch.zeros(1, 3, *size)).numel() >= 0)
    except (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError):
        return False
