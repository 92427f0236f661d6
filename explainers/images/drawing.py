"""Maps as pictures: colours and overlays, and captions and panels of them."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from explainers.errors import InputError
from explainers.images.drawing_choices import COLOUR_MAP, COLOUR_MAPS, OPACITY

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


def captioned(picture: Tensor, text: str, height: int = 22) -> Tensor:
    """Put one line of text on a white strip above a picture (3 h w) in [0, 1]."""
    width = picture.shape[-1]
    strip = Image.new("RGB", (width, height), "white")
    size = height * 0.6
    font = ImageFont.load_default(size)
    while font.getlength(text) > width - 8 and size > 8:
        size -= 1
        font = ImageFont.load_default(size)
    while text and font.getlength(text) > width - 8:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    ImageDraw.Draw(strip).text((4, height / 2), text, fill="black", font=font, anchor="lm")
    pixels = torch.from_numpy(np.array(strip)).permute(2, 0, 1).float() / 255
    return torch.cat([pixels, picture.cpu()], dim=-2)


def panel(rows: Sequence[Sequence[Tensor]], gap: int = 4) -> Tensor:
    """Lay pictures (3 h w), all of one size, out in rows on white; returns (3 H W)."""
    padded = [
        [torch.nn.functional.pad(picture, (gap,) * 4, value=1.0) for picture in row] for row in rows
    ]
    return torch.cat([torch.cat(row, dim=-1) for row in padded], dim=-2)


def save_picture(picture: Tensor, path: Path) -> Path:
    """Write a picture (3 h w) in [0, 1] as PNG, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_to_bytes(picture)).save(path)
    return path


def _to_bytes(picture: Tensor) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = (
        (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    )
    return values
