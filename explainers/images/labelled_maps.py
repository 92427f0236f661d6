"""Maps with their images, classes and methods, as one figure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import isnan, nan
from typing import TYPE_CHECKING

from torch import Tensor

from explainers.images.drawing_style import DEFAULT_STYLE, DrawingStyle
from explainers.images.figure import figure_of
from explainers.images.tiles import ColourBar, Tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULED_OUT = 5e-4
"""Probability below which a class counts as ruled out: in percent, it is printed as 0.0."""

CAVEAT = "the network rules this class out; the map means little"


@dataclass(frozen=True)
class LabelledMap:
    """A map and its label in a figure.

    Attributes:
        image: (3 h w) in [0, 1].
        one_map: (1 h w) in [0, 1].
        scores: (1 h w).
        caption: the explained class.
        probability: of the class; NaN where it is of no interest.
        method: name of the method.
        meaning: what its values measure.
        signed: scores below 0 are negative attribution.
    """

    image: Tensor
    one_map: Tensor
    scores: Tensor
    caption: str
    probability: float = nan
    method: str = ""
    meaning: str = ""
    signed: bool = False

    @property
    def percent(self) -> str:
        """The probability in percent; empty where it is not known."""
        return "" if isnan(self.probability) else f"{100 * self.probability:.1f} %"

    @property
    def caveat(self) -> str:
        """A warning where the class is ruled out."""
        return CAVEAT if self.probability < RULED_OUT else ""


def figure_of_maps(
    rows: Sequence[Sequence[LabelledMap]],
    style: DrawingStyle = DEFAULT_STYLE,
    references: Sequence[Tensor | None] = (),
) -> "Figure":
    """Draw maps in rows, each row of one image.

    The image stands first in its row, with its class, if the style says so or there are several
    maps; a single map is drawn alone, with all its words.

    Args:
        rows: of at least one map each.
        style: colours, opacity and so on.
        references: an image (3 _ _) beside that of each row, or None.
    """
    alone = len(rows) == 1 and len(rows[0]) == 1
    meanings = {one.meaning for row in rows for one in row}
    tiles: list[list[Tile]] = []
    bars: dict[bool, ColourBar] = {}
    for row, reference in zip_longest(rows, references):
        first = row[0]
        drawn = [] if alone and not style.beside else [_with_words(Tile(first.image), first)]
        if reference is not None:
            drawn.append(Tile(reference, title="reference"))
        for one in row:
            values = style.drawable(one.one_map, one.scores, one.signed)
            tile = style.tile(one.image, values, bool(one.caveat))
            if not drawn and alone:
                drawn.append(replace(_with_words(tile, one), note=one.method))
            else:
                other = (one.caption, one.percent) != (first.caption, first.percent)
                note = f"{one.caption}  {one.percent}" if other else ""
                warning = one.caveat if other else ""
                drawn.append(replace(tile, title=one.method, note=note, warning=warning))
            text = one.meaning if meanings == {one.meaning} else "importance"
            if values.diverging and not alone:
                text += ", each map to its own largest score"
            bar = style.bar(values, text, numbers=alone)
            if bar is not None:
                bars.setdefault(values.diverging, bar)
        tiles.append(drawn)
    return figure_of(tiles, list(bars.values()), style.theme)


def _with_words(tile: Tile, one: LabelledMap) -> Tile:
    return replace(tile, title=one.caption, value=one.percent, warning=one.caveat)
