"""Figures of pictures in a grid, with words above each and colour bars below.

For paper, screen and notebook: type has the same size in points beside photographs of any number
of pixels. Nothing touches pyplot or the global settings of matplotlib, which is imported when the
first figure is drawn.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from explainers.images.drawing_choices import THEMES
from explainers.images.tiles import BAR, LINE, MARGIN, TICKS, ColourBar, Pen, Tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = {1: 4.5, 2: 3.4}
"""Of a picture's longer side in inches, by pictures in a row."""

SIDE = 2.1
"""The same where there are more."""

NARROWEST, NARROWEST_COLUMN, GAP = 2.6, 1.5, 0.1
"""Widths of a figure without its margins, of a column, and between columns, in inches."""

LEAST_DPI, MOST_DPI = 144, 300
"""Dots per inch; one or two pictures have as many as the photographs need, without limit."""


def figure_of(
    rows: Sequence[Sequence[Tile]], bars: Sequence[ColourBar] = (), theme: str = "light"
) -> "Figure":
    """Lay tiles out in rows, all left-aligned in columns, and colour bars below them.

    Args:
        rows: of tiles, not all of which need have the same size.
        bars: one below the other.
        theme: a key of `THEMES`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    side = SIDES.get(max(len(row) for row in rows), SIDE)
    sizes = [[_size(tile, side) for tile in row] for row in rows]
    widths = [
        max(NARROWEST_COLUMN, *(row[column][0] for row in sizes if column < len(row)))
        for column in range(max(len(row) for row in rows))
    ]
    content = max(NARROWEST, sum(widths) + GAP * (len(widths) - 1))
    if len(widths) == 1:
        widths = [content]
    lines = [
        [any(getattr(tile, part) for tile in row) for part in ("title", "note", "warning")]
        for row in rows
    ]
    heights = [
        LINE * sum(words) + max(height for _, height in row) + GAP
        for words, row in zip(lines, sizes, strict=True)
    ]
    heights[-1] -= 0 if bars else GAP
    below = [LINE * bool(bar.text) + BAR + TICKS for bar in bars]
    width, height = content + 2 * MARGIN, 2 * MARGIN + sum(heights) + sum(below)
    finest = max(tile.picture.shape[-1] / one[0] for row, of in zip(rows, sizes, strict=True)
                 for tile, one in zip(row, of, strict=True))  # fmt: skip
    most = finest if len(rows) == 1 and len(rows[0]) <= 2 else MOST_DPI
    dpi = max(LEAST_DPI, min(finest, most))
    colours = THEMES[theme]
    figure = Figure((width, height), dpi=dpi, facecolor=colours["page"])
    canvas = FigureCanvasAgg(figure)
    # One pair of axes in inches from the upper left holds everything.
    axes = figure.add_axes((0, 0, 1, 1), autoscale_on=False, xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    pen = Pen(canvas, axes, colours)
    top = MARGIN
    for row, of, words, tall in zip(rows, sizes, lines, heights, strict=True):
        left = MARGIN
        for tile, size, wide in zip(row, of, widths, strict=False):
            indent = (wide - size[0]) / 2 if len(widths) == 1 else 0.0
            pen.tile(tile, left, top, size, wide, indent, words)
            left += wide + GAP
        top += tall
    for bar, tall in zip(bars, below, strict=True):
        pen.bar(bar, top, content)
        top += tall
    return figure


def rendered(figure: "Figure") -> Tensor:
    """The pixels (3 h w) in [0, 1] of a figure that `figure_of` made."""
    return torch.from_numpy(_pixels(figure)).permute(2, 0, 1).float() / 255


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as its path's suffix says, one of `drawing_choices.FORMATS`, and return the path.

    The same figure gives the same file. Text in PDF stays text; in SVG it is drawn, so that it
    looks the same without the font.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(figure, path.suffix[1:].lower()))
    return path


def encoded(figure: "Figure", kind: str = "png") -> bytes:
    """The content of a file of one of `drawing_choices.FORMATS`."""
    import matplotlib as mpl

    file = io.BytesIO()
    if kind in ("png", "jpg"):  # without the opacity that matplotlib writes for each pixel
        image, dots = Image.fromarray(_pixels(figure)), (figure.dpi, figure.dpi)
        image.save(file, "JPEG" if kind == "jpg" else "PNG", dpi=dots, quality=90)
        return file.getvalue()
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "explainers"}):
        figure.savefig(file, format=kind, dpi=figure.dpi, metadata=undated)
    return file.getvalue()


def _pixels(figure: "Figure") -> npt.NDArray[np.uint8]:
    """The pixels (h w 3) of a figure as bytes."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def _size(tile: Tile, side: float) -> tuple[float, float]:
    """Width and height in inches, so that the longer one is `side`."""
    height, width = tile.picture.shape[-2:]
    scale = side / max(height, width)
    return width * scale, height * scale
