"""Tiles of a figure, pictures with words above them, and colour bars: drawn in inches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

MARGIN = 0.12
"""Around a figure, in inches."""

LINE, BAR, TICKS = 0.19, 0.1, 0.2
"""Heights of a line of words, of a colour bar and of the words below it, in inches."""

WIDEST_BAR = 4.5
"""Width of a colour bar in inches, at most."""

TITLE, NOTE = 9.5, 8
"""Sizes of type, in points."""

CONTOUR_SIDE = 512
"""Values a side that contours are drawn from, at most."""


@dataclass(frozen=True)
class Contours:
    """Lines of equal value over a picture.

    Attributes:
        values: (1 h w).
        levels: the value of each line, in ascending order.
        colours: of each line.
    """

    values: Tensor
    levels: Sequence[float]
    colours: Sequence[str]


@dataclass(frozen=True)
class Tile:
    """A picture with its words.

    Attributes:
        picture: (3 h w) in [0, 1].
        title: above it, in bold; cut where it is too long.
        value: at the right end of the title; never cut.
        note: a second line.
        warning: a third line, in another colour.
        contours: lines over it.
    """

    picture: Tensor
    title: str = ""
    value: str = ""
    note: str = ""
    warning: str = ""
    contours: Contours | None = None


@dataclass(frozen=True)
class ColourBar:
    """A scale of colours.

    Attributes:
        colours: (3 n) in [0, 1], from the lowest value to the highest.
        ticks: words below it, at equal distances from end to end.
        text: what it measures, above it.
    """

    colours: Tensor
    ticks: Sequence[str]
    text: str = ""


class Pen:
    """Draws into axes whose coordinates are inches from the upper left.

    Args:
        canvas: of the figure.
        axes: to draw into.
        colours: of `text`, `soft` text and a `warning`.
    """

    def __init__(self, canvas: "FigureCanvasAgg", axes: "Axes", colours: Mapping[str, str]) -> None:
        self.axes, self.colours, self.dpi = axes, colours, canvas.figure.dpi
        self.renderer = canvas.get_renderer()

    def tile(
        self,
        tile: Tile,
        left: float,
        top: float,
        size: tuple[float, float],
        wide: float,
        indent: float,
        words: Sequence[bool],
    ) -> None:
        """Draw a tile into a column, its row having the lines that `words` says."""
        right = left + wide
        for present, part in zip(words, ("title", "note", "warning"), strict=True):
            if not present:
                continue
            middle = top + 0.45 * LINE
            if part == "title":
                end = self.text(tile.value, right, middle, wide, TITLE, "text", ha="right")
                self.text(
                    tile.title, left, middle, wide - end - 0.08 * bool(end), TITLE, "text",
                    weight="bold",
                )  # fmt: skip
            else:
                colour = "soft" if part == "note" else "warning"
                self.text(getattr(tile, part), left, middle, wide, NOTE, colour)
            top += LINE
        self.picture(tile.picture, left + indent, top, *size)
        if tile.contours is not None:
            self._contours(tile.contours, left + indent, top, size)

    def bar(self, bar: ColourBar, top: float, content: float) -> None:
        """Draw a colour bar and its words, below a content of this width."""
        wide = min(content, WIDEST_BAR)
        if bar.text:
            self.text(bar.text, MARGIN, top + 0.45 * LINE, content, NOTE, "soft")
            top += LINE
        self.picture(bar.colours[:, None], MARGIN, top, wide, BAR)
        last = max(1, len(bar.ticks) - 1)
        for index, word in enumerate(bar.ticks):
            side = "left" if index == 0 else "right" if index == last else "center"
            place = MARGIN + wide * index / last
            self.text(word, place, top + BAR + 0.1, wide, NOTE, "text", ha=side)

    def picture(self, picture: Tensor, left: float, top: float, wide: float, tall: float) -> None:
        """Draw a picture (3 h w), its edges on whole dots."""
        left, top, right, bottom = (
            round(edge * self.dpi) / self.dpi for edge in (left, top, left + wide, top + tall)
        )
        size = [round((bottom - top) * self.dpi), round((right - left) * self.dpi)]
        if list(picture.shape[-2:]) != size:  # as no backend does it: smoothly, to whole dots
            picture = F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0]
        extent = (left, right, bottom, top)
        self.axes.imshow(to_bytes(picture), extent=extent, aspect="auto", interpolation="none")

    def text(
        self,
        text: str,
        x: float,
        y: float,
        room: float,
        size: float,
        colour: str,
        **options: Any,  # noqa: ANN401  of matplotlib's text
    ) -> float:
        """Write a line, cut to a width in inches, and return its width."""
        if not text:
            return 0.0
        # Centred on a lower-case letter whatever the text, so that words of a line stand level.
        written = self.axes.text(
            x, y + size / 72 * 0.3, text, size=size, color=self.colours[colour],
            va="baseline", parse_math=False, family="DejaVu Sans", **options,
        )  # fmt: skip
        while (wide := self._width(written)) > room and len(text) > 1:
            keep = min(len(text) - 1, int(len(text) * room / wide))
            text = text[: max(0, keep)].rstrip()
            written.set_text(f"{text}…")
        return wide

    def _width(self, written: Any) -> float:  # noqa: ANN401  matplotlib's Text
        return float(written.get_window_extent(self.renderer).width) / self.dpi

    def _contours(
        self, contours: Contours, left: float, top: float, size: tuple[float, float]
    ) -> None:
        from matplotlib.patheffects import withStroke

        values = contours.values
        step = max(1, max(values.shape[-2:]) // CONTOUR_SIDE)
        shown = values[0, ::step, ::step].numpy()
        ys, xs = (
            start + (np.arange(count) + 0.5) / count * length
            for start, count, length in zip((top, left), shown.shape, size[::-1], strict=True)
        )
        lines = self.axes.contour(
            xs, ys, shown, levels=list(contours.levels), colors=list(contours.colours),
            linewidths=1.4,
        )  # fmt: skip
        lines.set(path_effects=[withStroke(linewidth=2.6, foreground="#000000a0")])


def to_bytes(picture: Tensor) -> npt.NDArray[np.uint8]:
    """A picture (3 h w) in [0, 1] as (h w 3) of bytes."""
    values: npt.NDArray[np.uint8] = (
        (picture.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    )
    return values
