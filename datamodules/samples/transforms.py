"""Transforms of photographs to images of one size: PIL in, tensor (3 h w) in [0, 1] out."""

from collections.abc import Sequence

import torch
from torchvision.transforms import InterpolationMode, v2

from datamodules.errors import DataError
from datamodules.samples.checks import (
    MOST_SIDE,
    check_known,
    check_scale,
    check_share,
    check_side,
)

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact", "box", "hamming", "lanczos")


def evaluation_transform(
    size: int, crop_fraction: float, interpolation: str = "bicubic"
) -> v2.Compose:
    """Resize and crop the centre, as classifiers are evaluated.

    Args:
        size: height and width of the crop, in pixels.
        crop_fraction: the share of the resized image's shorter side that is kept.
        interpolation: of the resizing.

    Raises:
        DataError: a setting is out of range.
    """
    check_side("size", size)
    check_share("crop_fraction", crop_fraction)
    if size / crop_fraction > MOST_SIDE:
        raise DataError(
            f"size {size} at crop_fraction {crop_fraction} needs images of over {MOST_SIDE} "
            "pixels a side; lower the size, or raise the fraction"
        )
    resize = v2.Resize(int(size / crop_fraction), _mode(interpolation))
    return v2.Compose([resize, v2.CenterCrop(size), *_to_tensor()])


def training_transform(size: int, resize: int, interpolation: str = "bicubic") -> v2.Compose:
    """Resize the shorter side, crop at random and flip half of the images.

    Args:
        size: height and width of the crop, in pixels.
        resize: the shorter side before it, in pixels.
        interpolation: of the resizing.

    Raises:
        DataError: a setting is out of range, or the crop does not fit.
    """
    check_side("size", size)
    check_side("resize", resize)
    if resize < size:
        raise DataError(
            f"resize must be at least the size of the crop, {size}, got {resize}; raise it"
        )
    scaled = v2.Resize(resize, _mode(interpolation))
    return v2.Compose([scaled, v2.RandomCrop(size), v2.RandomHorizontalFlip(), *_to_tensor()])


def random_scale_transform(size: int, scale: Sequence[float]) -> v2.Compose:
    """Crop a random share between two of the image, resize it, and flip half of the images.

    Raises:
        DataError: a setting is out of range.
    """
    check_side("size", size)
    check_scale(scale)
    crop = v2.RandomResizedCrop(size, tuple(scale), interpolation=InterpolationMode.BICUBIC)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), *_to_tensor()])


def training_crops(
    size: int, resize: int, scale: Sequence[float] | None, interpolation: str
) -> tuple[v2.Compose, int]:
    """The training transform, of random scales if one is given; and the side in pixels it needs.

    Raises:
        DataError: a setting is out of range, or the crop does not fit.
    """
    if scale is None:
        return training_transform(size, resize, interpolation), resize
    return random_scale_transform(size, scale), round(size / scale[0] ** 0.5)


def view_transform(size: int, scale: Sequence[float]) -> v2.Compose:
    """As `random_scale_transform`, and change the colours at random, as contrastive learning does.

    The crop, the flip and the colours of MoCo v1 (https://arxiv.org/abs/1911.05722) without its
    grey images.
    """
    colours = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    return v2.Compose([random_scale_transform(size, scale), colours])


def _mode(interpolation: str) -> InterpolationMode:
    check_known("interpolation", interpolation, INTERPOLATIONS)
    return InterpolationMode(interpolation)


def _to_tensor() -> list[v2.Transform]:
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
