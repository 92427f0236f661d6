"""Drawn objects: shapes with textures, each the pixels that it covers and its colours there."""

from math import cos, pi, sin
from typing import NamedTuple

import torch
from torch import Tensor

SHAPES = ("disc", "square", "triangle", "ring", "cross")
TEXTURES = ("plain", "striped", "checked")
CLASSES = [f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES]
"""Names of the classes: a shape and a texture each."""


class Place(NamedTuple):
    """A place of an object in an image.

    Attributes:
        top: row of its centre, in pixels.
        left: column of its centre.
        radius: of the circle around it.
        angle: by which it is turned, in radians.
    """

    top: float
    left: float
    radius: float
    angle: float


def placed(size: int, place: Place) -> tuple[Tensor, Tensor]:
    """Coordinates (size size) of an object's own frame, in which its circle has radius 1."""
    rows, columns = torch.meshgrid(
        torch.arange(size) + 0.5 - place.top, torch.arange(size) + 0.5 - place.left, indexing="ij"
    )
    across = (cos(place.angle) * columns + sin(place.angle) * rows) / place.radius
    down = (cos(place.angle) * rows - sin(place.angle) * columns) / place.radius
    return across, down


def pixels_of(shape: str, across: Tensor, down: Tensor) -> Tensor:
    """The pixels (_ _) bool of a shape, from the coordinates of its frame."""
    distance = (across**2 + down**2).sqrt()
    if shape == "disc":
        return distance <= 0.9
    if shape == "ring":
        return (distance <= 1) & (distance >= 0.55)
    if shape == "square":
        return torch.maximum(across.abs(), down.abs()) <= 0.75
    if shape == "triangle":
        return (down <= 0.55) & (down >= 1.8 * across.abs() - 1)
    arms = torch.minimum(across.abs(), down.abs()) <= 0.28
    return arms & (torch.maximum(across.abs(), down.abs()) <= 0.95)


def second_colour(texture: str, across: Tensor, down: Tensor) -> Tensor:
    """The pixels (_ _) bool that have the second colour of a texture; none if it is plain."""
    if texture == "plain":
        return torch.zeros_like(across, dtype=torch.bool)
    stripes = torch.sin(2.2 * pi * across) > 0
    return stripes if texture == "striped" else stripes ^ (torch.sin(2.2 * pi * down) > 0)


def drawn(image: Tensor, label: int, place: Place, colours: Tensor) -> tuple[Tensor, Tensor]:
    """Draw an object into an image.

    Args:
        image: (3 h w), square.
        label: position in `CLASSES`.
        place: of the object.
        colours: two (2 3), in [0, 1].

    Returns:
        The image (3 h w) and the object's pixels (h w) bool.
    """
    shape, texture = SHAPES[label // len(TEXTURES)], TEXTURES[label % len(TEXTURES)]
    across, down = placed(image.shape[-1], place)
    pixels = pixels_of(shape, across, down)
    first, second = colours[:, :, None, None]
    paint = torch.where(second_colour(texture, across, down), second, first)
    return torch.where(pixels, paint, image), pixels
