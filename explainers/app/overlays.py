"""Overlays of answers without captions, and their legends, for pages that have type of their own."""

from typing import NamedTuple

import torch
from torch import Tensor

from explainers.explanation import Explanation
from explainers.images.drawing import COLOUR_MAPS, centred, overlay
from explainers.images.drawing_style import ONE_SIDED, SIDES, DrawingStyle

STOPS = 33  # colours of a legend; odd, so that one of them is that of zero


class Legend(NamedTuple):
    """Colours from low to high, as #rrggbb on mid-grey, and words for both ends."""

    colours: tuple[str, ...]
    low: str
    high: str


def draw_overlay(one: Explanation, style: DrawingStyle) -> Tensor:
    """Lay the colours of one image's explanation over it: a picture (3 h w) in [0, 1]."""
    scores, diverging = one.score_list[0], one.signed and style.sign == "signed"
    if diverging:
        shown = centred(scores[None])
    elif one.signed:
        part = ONE_SIDED[style.sign](scores)
        shown = (part / part.quantile(0.99).clamp(min=torch.finfo().tiny)).clamp(0, 1)[None]
    else:
        shown = one.map_list[0][None]
    return _overlay(one.images[0][None], shown, style, diverging)


def legend_of(signed: bool, style: DrawingStyle) -> Legend:
    """The legend of the overlays of signed or of unsigned scores."""
    diverging = signed and style.sign == "signed"
    ramp = torch.linspace(0, 1, STOPS).expand(1, 1, 1, STOPS)
    pixels = _overlay(torch.full((1, 3, 1, STOPS), 0.5), ramp, style, diverging)[:, 0].T
    colours = tuple(bytes(one).hex() for one in (255 * pixels).round().byte().tolist())
    low, high = ("against", "for") if diverging else ("low", "high")
    if signed and not diverging:
        low, high = "0", SIDES[style.sign]
    return Legend(tuple(f"#{one}" for one in colours), low, high)


def _overlay(images: Tensor, maps: Tensor, style: DrawingStyle, diverging: bool) -> Tensor:
    colour_map = COLOUR_MAPS[style.colour_map] if diverging else style.colour_map
    return overlay(images, maps, style.opacity, colour_map, diverging)[0]
