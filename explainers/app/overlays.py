"""Overlays of answers without captions, and their legends, for pages that have type of their own."""

from typing import NamedTuple

import torch
from torch import Tensor

from explainers.explanation import Explanation
from explainers.images.drawing_style import DrawingStyle

STOPS = 32  # colours of a legend


class Legend(NamedTuple):
    """Colours from low to high, as #rrggbb on mid-grey, and words for both ends."""

    colours: tuple[str, ...]
    low: str
    high: str


def draw_overlay(one: Explanation, style: DrawingStyle) -> Tensor:
    """Lay the colours of one image's explanation over it: a picture (3 h w) in [0, 1].

    They are faint where the network rules the class out.
    """
    (labelled,) = one.labelled()
    values = style.drawable(labelled.one_map, labelled.scores, labelled.signed)
    return style.tile(labelled.image, values, bool(labelled.caveat)).picture


def legend_of(signed: bool, style: DrawingStyle) -> Legend:
    """The legend of the overlays of signed or of unsigned scores."""
    flat = torch.zeros(1, 8, 8)
    bar = style.bar(values := style.drawable(flat, flat, signed), "", numbers=False)
    if bar is None:
        return Legend((), "", "")
    pixels = bar.colours[:, :: bar.colours.shape[1] // STOPS].T
    colours = (bytes(one).hex() for one in (255 * pixels).round().byte().tolist())
    low, high = values.words
    return Legend(tuple(f"#{one}" for one in colours), low or "low", high or "high")
