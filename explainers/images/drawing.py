"""Maps as pictures: colours, and overlays on images."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from explainers.errors import InputError
from explainers.images.drawing_choices import COLOUR_MAP, COLOUR_MAPS, OPACITY
from explainers.images.tiles import to_bytes

SIGNED_COLOUR_MAP = COLOUR_MAPS[COLOUR_MAP]  # white at zero, red above and blue below
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, by ITU-R BT.601


def colourise(maps: Tensor, colour_map: str = COLOUR_MAP) -> Tensor:
    """Map values (b 1 h w) in [0, 1] to colours (b 3 h w) in [0, 1].

    Raises:
        InputError: a value is NaN or infinite, which has no colour.
    """
    if not maps.isfinite().all():
        raise InputError(
            "a map holds NaN or infinite values and cannot be drawn; look for them in the weights "
            "of the classifier or the explainer"
        )
    table = torch.from_numpy(matplotlib.colormaps[colour_map](np.arange(256))[:, :3]).float()
    index = (maps[:, 0].detach().cpu().clamp(0, 1) * 255).round().long()
    return table[index].permute(0, 3, 1, 2)


def centred(scores: Tensor) -> Tensor:
    """Bring signed scores (b 1 h w) to [0, 1] with zero at 0.5, for a picture and nothing else.

    Each image is clipped at its 1 % and 99 % quantiles, and stretched to the larger of the two.
    """
    pixels = scores.detach().float().cpu().flatten(1).numpy()
    # Not torch.quantile, which refuses photographs of more than 16 million pixels.
    low, high = np.quantile(pixels, [0.01, 0.99], axis=1, keepdims=True)
    reach = np.maximum(np.maximum(-low, high), np.finfo(np.float32).tiny)
    shown = 0.5 + 0.5 * np.clip(pixels, low, high) / reach
    return torch.from_numpy(shown).float().clamp(0, 1).view_as(scores)


def overlay(
    images: Tensor,
    maps: Tensor,
    opacity: float = OPACITY,
    colour_map: str | None = None,
    signed: bool = False,
) -> Tensor:
    """Lay colours over the greyscale images, the more opaque the more important a pixel is.

    Unimportant pixels stay grey, without a colour that could be taken for the map's.

    Args:
        images: (b 3 h w) in [0, 1].
        maps: (b 1 h w) in [0, 1], where 1 is important; if signed, where 0.5 is not.
        opacity: of the colours of the most important pixels, in [0, 1].
        colour_map: matplotlib's name; by default one that suits the sign.
        signed: maps are `centred` scores.
    """
    maps = maps.detach().cpu().float().clamp(0, 1)
    strength = (2 * maps - 1).abs() if signed else maps
    colour_map = colour_map or (SIGNED_COLOUR_MAP if signed else COLOUR_MAP)
    weights = torch.tensor(LUMA)[:, None, None]
    grey = (images.detach().cpu().float() * weights).sum(dim=1, keepdim=True)
    return torch.lerp(grey.expand(-1, 3, -1, -1), colourise(maps, colour_map), opacity * strength)


def save_picture(picture: Tensor, path: Path) -> Path:
    """Write a picture (3 h w) in [0, 1] as PNG, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_bytes(picture)).save(path)
    return path
