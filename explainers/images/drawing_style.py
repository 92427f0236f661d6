"""Drawing style of maps: colours, opacity, overlay, contours or mask, light or dark."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex
from torch import Tensor

from explainers.errors import InputError, require_known
from explainers.images.drawing import centred, colourise, overlay
from explainers.images.drawing_choices import (
    COLOUR_MAP,
    COLOUR_MAPS,
    DRAWINGS,
    OPACITY,
    SIGNS,
    THEMES,
)
from explainers.images.enlargement import smooth
from explainers.images.pixel_removal import keep
from explainers.images.tiles import ColourBar, Contours, Tile

ONE_SIDED: dict[str, Callable[[Tensor], Tensor]] = {
    "positive": lambda scores: scores.clamp(min=0),
    "negative": lambda scores: (-scores).clamp(min=0),
    "absolute": torch.abs,
}
"""One-sided parts of signed scores, drawn from zero up, by name."""

SIDES = {"positive": "for", "negative": "against", "absolute": "either way"}
"""Their words at the end of the scale."""

LEVELS = (0.25, 0.5, 0.75)
"""Map values, or shares of the strongest signed score, that contours are drawn at."""

FAINT = 0.4
"""Share of the opacity that is left to the map of a class that the network rules out."""


@dataclass(frozen=True)
class Drawable:
    """A map ready to be drawn: values in [0, 1] and their scale.

    Attributes:
        values: (1 h w) in [0, 1].
        diverging: 0.5 is zero, what is below speaks against.
        ends: the values that 0 and 1 stand for.
        words: beside those.
    """

    values: Tensor
    diverging: bool
    ends: tuple[float, float]
    words: tuple[str, str]


@dataclass(frozen=True)
class DrawingStyle:
    """Style of the pictures of explanations.

    Attributes:
        opacity: of the colours where the map is strongest, in [0, 1].
        colour_map: a key of `COLOUR_MAPS`; signed scores get the diverging one beside it.
        sign: the part of signed scores to draw, one of `SIGNS`; ignored for unsigned ones.
        beside: draw the image itself, in colour, to the left.
        drawing: one of `DRAWINGS`.
        theme: `light` or `dark` page.

    Raises:
        InputError: a name is unknown, or the opacity is outside [0, 1].
    """

    opacity: float = OPACITY
    colour_map: str = COLOUR_MAP
    sign: str = "signed"
    beside: bool = False
    drawing: str = "overlay"
    theme: str = "light"

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise InputError(f"opacity must be in [0, 1], got {self.opacity}")
        require_known("colour map", self.colour_map, COLOUR_MAPS)
        require_known("sign", self.sign, SIGNS)
        require_known("drawing", self.drawing, DRAWINGS)
        require_known("theme", self.theme, THEMES)

    def drawable(self, one_map: Tensor, scores: Tensor, signed: bool) -> Drawable:
        """The values to draw of a map (1 h w) in [0, 1] or, if signed, of its scores (1 h w)."""
        if not signed:
            return Drawable(smooth(one_map).clamp(0, 1), False, (0.0, 1.0), ("", ""))
        scores = smooth(scores)
        if self.sign != "signed":
            scores = ONE_SIDED[self.sign](scores)
        # Not torch.quantile, which refuses photographs of more than 16 million pixels.
        low, high = np.quantile(scores.numpy(), [0.01, 0.99])
        reach = float(max(-low, high, np.finfo(np.float32).tiny))
        if self.sign != "signed":
            shown = (scores / reach).clamp(0, 1)
            return Drawable(shown, False, (0.0, reach), ("", SIDES[self.sign]))
        return Drawable(centred(scores[None])[0], True, (-reach, reach), ("against", "for"))

    def tile(self, image: Tensor, one: Drawable, faint: bool = False) -> Tile:
        """Draw a map over its image (3 h w) in [0, 1]; faint for a class that is ruled out."""
        image, values = image.detach().cpu().float()[None], one.values[None]
        opacity = self.opacity * (FAINT if faint else 1)
        if self.drawing == "overlay":
            colour_map = self._colours(one.diverging)
            return Tile(overlay(image, values, opacity, colour_map, one.diverging)[0])
        if self.drawing == "map":
            colours = colourise(values, self._colours(one.diverging))
            return Tile(torch.lerp(torch.ones_like(colours), colours, FAINT if faint else 1.0)[0])
        if self.drawing == "mask":
            strength = (2 * values - 1).clamp(min=0) if one.diverging else values
            return Tile(keep(image, strength)[0])
        levels = self._levels(one.diverging)
        table = matplotlib.colormaps[self._colours(one.diverging)]
        lines = Contours(one.values, levels, [to_hex(table(level)) for level in levels])
        shown = overlay(image, torch.zeros_like(values)) if faint else image
        return Tile(shown[0], contours=lines)

    def bar(self, one: Drawable, text: str, numbers: bool = True) -> ColourBar | None:
        """The scale of a map's colours; None where there are none, as in a mask.

        Args:
            one: the map.
            text: what its values measure.
            numbers: write the values of the ends; without, the words alone, as several maps that
                share a bar have ends of their own.
        """
        if self.drawing == "mask":
            return None
        ramp = torch.linspace(0, 1, 512).expand(1, 1, 1, 512)
        colour_map = self._colours(one.diverging)
        if self.drawing == "overlay":
            grey = torch.full((1, 3, 1, 512), 0.5)
            colours = overlay(grey, ramp, self.opacity, colour_map, one.diverging)
        else:
            colours = colourise(ramp, colour_map)
        low, high = one.ends
        shown = numbers or one.ends == (0.0, 1.0)
        middle = 0.0 if low else None
        values = (low, (low + high) / 2, high) if shown else (None if low else 0.0, middle, None)
        words = (one.words[0], "", one.words[1])
        ticks = [
            " ".join(part for part in (_number(value), word) if part)
            for value, word in zip(values, words, strict=True)
        ]
        return ColourBar(colours[0, :, 0], ticks, text)

    def _colours(self, diverging: bool) -> str:
        return COLOUR_MAPS[self.colour_map] if diverging else self.colour_map

    @staticmethod
    def _levels(diverging: bool) -> tuple[float, ...]:
        if not diverging:
            return LEVELS
        sides = [0.5 + sign * level / 2 for sign in (-1, 1) for level in LEVELS]
        return tuple(sorted(sides))


def _number(value: float | None) -> str:
    """A value with two digits, and a sign where it is below zero."""
    return "" if value is None else f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


DEFAULT_STYLE = DrawingStyle()
