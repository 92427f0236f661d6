"""Plots as SVG text for an HTML page, whose colours and light or dark mode they follow.

Nothing touches pyplot or the global settings of matplotlib.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from explainers.report.label_placement import LabelPlacement
from explainers.report.row_styles import Style, row_key
from explainers.report.svg import GRID, INK, SOFT, inline_svg

SIZE = (640, 380)  # units of the SVG; a point is one unit
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "svg.hashsalt": "explainers",  # the same results give the same page
    "text.parse_math": False,  # names may hold dollar signs
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 6,
    "axes.labelsize": 12,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.spines.bottom": False,
    "figure.facecolor": "none",
    "figure.dpi": 72,
    "grid.color": GRID,
    "grid.linewidth": 1,
    "lines.scale_dashes": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.bottom": False,
    "ytick.left": False,
}
LINEAR = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])


@dataclass(frozen=True)
class Point:
    """A row in a scatter plot.

    Attributes:
        interval: of y.
    """

    name: str
    x: float
    y: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Curve:
    """A row's mean response and its interval at each share of the pixels."""

    name: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curve_plot(
    label: str, curves: Sequence[Curve], y_title: str, styles: Mapping[str, Style]
) -> str:
    """Plot curves with their bands over the share of the pixels.

    Args:
        label: title for screen readers.
        curves: one a row.
        y_title: title of the vertical axis.
        styles: by row, from `row_styles`.
    """
    with _axes("share of the pixels, most important first", y_title) as (figure, axes):
        titles = {}
        for curve in curves:
            style, row = styles[curve.name], row_key(curve.name, styles)
            titles[row] = curve.name
            if not style.uninformative:
                axes.fill(
                    [*curve.x, *reversed(curve.x)], [*curve.high, *reversed(curve.low)],
                    color=style.colour, alpha=0.13, linewidth=0, gid=row, clip_on=False,
                )  # fmt: skip
            axes.plot(
                curve.x, curve.mean, color=style.colour, linewidth=style.width,
                linestyle=_linestyle(style), gid=row, clip_on=False,
            )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        _fit_y(axes, [0, *(value for curve in curves for value in (*curve.low, *curve.high))])
        return inline_svg(figure, label, titles)


def scatter_plot(
    label: str,
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    styles: Mapping[str, Style],
    *,
    x_values: Sequence[float] = (),
    y_values: Sequence[float] = (),
    logarithmic: bool = False,
    level: tuple[str, float] | None = None,
) -> str:
    """Plot points with their intervals and, where there is room, their names.

    Args:
        label: title for screen readers.
        points: one a row.
        x_title: title of the horizontal axis.
        y_title: title of the vertical axis.
        styles: as for `curve_plot`.
        x_values: values that the horizontal axis holds besides those of the points.
        y_values: likewise.
        logarithmic: powers of ten on the horizontal axis; values are positive.
        level: a line across the figure: its text and its value of y.
    """
    with _axes(x_title, y_title) as (figure, axes):
        (_fit_log_x if logarithmic else _fit_x)(axes, [*(point.x for point in points), *x_values])
        heights = [value for point in points for value in (point.y, *(point.interval or ()))]
        _fit_y(axes, [*heights, *y_values, *([level[1]] if level else [])])
        titles = {}
        for point in points:
            style, row = styles[point.name], row_key(point.name, styles)
            titles[row] = f"{point.name}: {point.x:.3g}, {point.y:.3g}"
            if point.interval is not None:
                axes.plot(
                    [point.x] * 2, point.interval, color=style.colour, alpha=0.5, linewidth=1,
                    gid=row, clip_on=False,
                )  # fmt: skip
            axes.plot(
                [point.x], [point.y], "o", markersize=9, markeredgecolor=style.colour,
                markerfacecolor="none" if style.uninformative else style.colour,
                markeredgewidth=1.5, gid=row, clip_on=False,
            )  # fmt: skip
        figure.draw_without_rendering()  # the layout is known from here on
        figure.set_layout_engine("none")
        labels = LabelPlacement(axes, [(point.x, point.y) for point in points])
        if level is not None:
            axes.axhline(level[1], color=SOFT, linewidth=1, linestyle=(0, (5, 4)))
            labels.add_to_level(*level)
        for point in points:
            labels.add_to_point(point.name, point.x, point.y, gid=row_key(point.name, styles))
        return inline_svg(figure, label, titles)


@contextmanager
def _axes(x_title: str, y_title: str) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure, under the settings that it is drawn and saved with."""
    with mpl.rc_context(SETTINGS):
        width, height = SIZE
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        yield figure, figure.add_subplot(xlabel=x_title, ylabel=y_title)


def _linestyle(style: Style) -> str | tuple[float, tuple[float, ...]]:
    return (0, style.dash) if style.dash else "solid"


def round_ticks(values: Sequence[float]) -> list[float]:
    """Few round numbers in equal steps, the first and the last of which enclose the values."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    return [float(tick) for tick in LINEAR.tick_values(low, high)]


def _fit_x(axes: Axes, values: Sequence[float]) -> None:
    ticks = round_ticks(values)
    axes.set_xticks(ticks)
    axes.set_xlim(ticks[0], ticks[-1])


def _fit_y(axes: Axes, values: Sequence[float]) -> None:
    ticks = round_ticks(values)
    axes.set_yticks(ticks)
    axes.set_ylim(ticks[0], ticks[-1])


def powers_of_ten(values: Sequence[float]) -> list[float]:
    """Two powers of ten or more, the first and the last of which enclose positive values."""
    first = math.floor(math.log10(min(values)))
    last = max(first + 1, math.ceil(math.log10(max(values))))
    return [10.0**power for power in range(first, last + 1)]


def _fit_log_x(axes: Axes, values: Sequence[float]) -> None:
    ticks = powers_of_ten(values)
    axes.set_xscale("log")
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)  # no point lies on the border
