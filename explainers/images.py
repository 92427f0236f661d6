"""Reading the images that people have: any mode, any rotation, whole or cropped."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from explainers.errors import InputError

ImageSource = Image.Image | str | Path


def open_image(source: ImageSource) -> Image.Image:
    """Return an upright 8-bit RGB image.

    EXIF rotation is applied, 16 bits are scaled to 8, transparency is laid over white, and
    greyscale, palette and CMYK are converted.

    Raises:
        InputError: the file is missing, or no image that Pillow can read.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"no image file at {path.resolve()}")
    try:
        with Image.open(path) as image:
            return _to_rgb(image)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error


def to_tensor(image: Image.Image, size: Sequence[int], crop_fraction: float | None) -> Tensor:
    """Turn an RGB image into a tensor (3 h w) in [0, 1] of the given height and width.

    Args:
        image: upright RGB.
        size: height and width in pixels.
        crop_fraction: None to show the image whole, stretched if need be; otherwise the share of
            the resized image's sides that a centred crop keeps, as classifiers are evaluated.
    """
    height, width = size
    if crop_fraction is None:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    else:
        resized = (math.floor(width / crop_fraction), math.floor(height / crop_fraction))
        image = ImageOps.fit(image, resized, Image.Resampling.BICUBIC)
        left, top = (resized[0] - width) // 2, (resized[1] - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _to_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        values = np.asarray(upright).astype(np.float64)
        # Pillow opens 16-bit greyscale as wider integers: what fits in 8 bits is left as it is.
        scale = 257 if values.max() > 255 else 1
        return Image.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8)).convert("RGB")
    if upright.has_transparency_data:
        coloured = upright.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return upright.convert("RGB")
