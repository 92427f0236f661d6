"""Images from files, of any mode and rotation, as tensors; and their maps at the files' sizes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from datamodules.samples.image_files import load_image, to_rgb
from explainers.errors import InputError

ImageLike = Image.Image | str | Path


def open_image(source: ImageLike) -> Image.Image:
    """Return an upright 8-bit RGB image.

    EXIF rotation is applied, 16 bits are scaled to 8, transparency is laid over white, and
    greyscale, palette and CMYK are converted.

    Raises:
        InputError: the file is missing, or no image that Pillow can read.
    """
    if isinstance(source, Image.Image):
        return to_rgb(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"no image file at {path.resolve()}")
    return decode_image(path, str(path))


def decode_image(file: Path | BinaryIO, name: str) -> Image.Image:
    """As `open_image`, of a file that is called `name` in the error."""
    try:
        return load_image(file)
    except UnidentifiedImageError as error:
        raise InputError(f"{name} cannot be read as an image: its format is unknown") from error
    # Pillow's decoders raise all kinds of errors on damaged files, struct.error among them.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"{name} cannot be read as an image: {reason}") from error


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


def to_batch(
    images: Tensor | ImageLike | Sequence[ImageLike],
    size: Sequence[int],
    crop_fraction: float | None,
) -> tuple[Tensor, list[Tensor], list[str]]:
    """Bring images as they come into one tensor.

    Args:
        images: a tensor (b 3 h w) or (3 h w), taken as it is; or a PIL image, a path, or a list of
            these.
        size: height and width in pixels that images which are no tensor get.
        crop_fraction: as for `to_tensor`.

    Returns:
        The images (b 3 h w); each as it is to be looked at (3 _ _), which is whole and in its own
        size unless it was cropped; and a file name for each.

    Raises:
        InputError: there is no image; or as `open_image`.
    """
    if not isinstance(images, Tensor):
        images = [images] if isinstance(images, str | Path | Image.Image) else list(images)
    if len(images) == 0:
        raise InputError("got no image to explain; give at least one")
    if isinstance(images, Tensor):
        tensors = images[None] if images.ndim == 3 else images
        shown = list(tensors.detach().float().cpu())
        return tensors, shown, [f"image-{index:03d}" for index in range(len(shown))]
    files = [open_image(source) for source in images]
    tensors = torch.stack([to_tensor(file, size, crop_fraction) for file in files])
    shown = (
        list(tensors)
        if crop_fraction is not None
        else [to_tensor(file, (file.height, file.width), None) for file in files]
    )
    return tensors, shown, distinct_names(images)


def at_sizes_of(images: Sequence[Tensor], maps: Tensor) -> list[Tensor]:
    """Bring each of the maps (b 1 h w) to its image's own height and width (1 _ _), on the CPU."""
    maps = maps.cpu()
    return [at_size(one, image.shape[-2:]) for one, image in zip(maps, images, strict=True)]


def at_size(one: Tensor, size: Sequence[int]) -> Tensor:
    """Bring a map (1 _ _) to a height and width in pixels."""
    if list(one.shape[-2:]) == list(size):
        return one
    return F.interpolate(one[None], tuple(size), mode="bilinear", antialias=True)[0]


def distinct_names(sources: Sequence[ImageLike]) -> list[str]:
    """A file name an image: the path's stem, numbered where that is missing or taken."""
    names: dict[str, None] = {}  # in order
    for index, source in enumerate(sources):
        stem = Path(source).stem if isinstance(source, str | Path) else f"image-{index:03d}"
        name, number = stem, index
        while name in names:
            name, number = f"{stem}-{number:03d}", number + 1
        names[name] = None
    return list(names)
