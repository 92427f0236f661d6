"""Image format of a classifier: normalisation, size, crop and interpolation."""

from collections.abc import Sequence
from typing import NamedTuple

from timm.data.config import resolve_model_data_config
from torch import nn

from explainers.errors import InputError, require_number, require_whole, shown

MOST_PIXELS_A_SIDE = 4096
MOST_PIXELS = 2**24
"""Limits of an image's size, checked before anything is allocated."""


class ImageFormat(NamedTuple):
    """Format of the images that a network was made for.

    Attributes:
        mean: of each channel, subtracted from images in [0, 1].
        std: of each channel, the images are divided by it.
        size: height and width in pixels.
        crop_fraction: share of the resized image's side that evaluation keeps.
        interpolation: of the resizing.
        reversed_channels: the network takes blue, green, red.
    """

    mean: Sequence[float]
    std: Sequence[float]
    size: tuple[int, int]
    crop_fraction: float
    interpolation: str
    reversed_channels: bool = False


def image_format_of(
    model: nn.Module,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: Sequence[int] | None = None,
    known: ImageFormat | None = None,
) -> ImageFormat:
    """The format that a network was made for, with what is given in its place.

    Args:
        model: its config tells, if it is timm's.
        mean: of each channel.
        std: of each channel.
        size: height and width in pixels.
        known: what its source tells.

    Raises:
        InputError: nothing tells how images are prepared, or no image can be so.
    """
    if known is None:
        _require_preparation(model, mean=mean, std=std, size=size)
        config = resolve_model_data_config(model)
        made_for = tuple(config["input_size"][1:])
        crop = config["crop_pct"], config["interpolation"]
        known = ImageFormat(config["mean"], config["std"], made_for, *crop)
    height, width = size or known.size
    chosen = known._replace(mean=mean or known.mean, std=std or known.std, size=(height, width))
    require_image_format(chosen.mean, chosen.std, chosen.size)  # a file brings its own
    return chosen


def require_image_format(mean: object, std: object, size: object) -> None:
    """Refuse a normalisation or a size that no image can have.

    Raises:
        InputError: a number is missing, of a wrong type, or out of its range.
    """
    for name, values in (("mean", mean), ("std", std)):
        for value in _numbers(name, values, 3, "of three numbers, as [0.5, 0.5, 0.5]"):
            require_number(f"each {name}", value, above=0 if name == "std" else None)
    sides = _numbers("size", size, 2, "of height and width in pixels, as [224, 224]")
    for side in sides:
        require_whole("each side of size", side, 1, MOST_PIXELS_A_SIDE)
    if sides and sides[0] * sides[1] > MOST_PIXELS:  # type: ignore[operator]
        raise InputError(f"size must be at most {MOST_PIXELS} pixels, got {shown(size)}")


def _numbers(name: str, values: object, count: int, rule: str) -> list[object]:
    """The parts of a list of so many; none if it is left out."""
    if values is None:
        return []
    if isinstance(values, Sequence) and not isinstance(values, str) and len(values) == count:
        return list(values)
    raise InputError(f"{name} must be a list {rule}, got {shown(values)}")


def _require_preparation(model: nn.Module, **given: Sequence[float] | None) -> None:
    """Refuse a network that says neither itself nor by arguments how its images are prepared."""
    missing = [name for name, value in given.items() if value is None]
    if missing and not hasattr(model, "pretrained_cfg"):
        raise InputError(
            f"a {type(model).__name__} does not say how its images are prepared; "
            f"pass {', '.join(missing)}"
        )
