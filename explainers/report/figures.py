"""Figures of a comparison as SVG by hand: in the page's own colours, light or dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from explainers.report.row_styles import Style

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 46
LETTER, LINE = 6.1, 13  # of a label, in units of the picture


@dataclass(frozen=True)
class Axis:
    """Values along one side.

    Attributes:
        title: what they are.
        low: the least one that is shown.
        high: the greatest.
        scale: makes equal steps of them; by default they are.
        ticks: those that are written.
    """

    title: str
    low: float
    high: float
    scale: Callable[[float], float]
    ticks: Sequence[float]

    @classmethod
    def linear(cls, title: str, values: Sequence[float]) -> "Axis":
        """Over the values, from round number to round number."""
        low, high = min(values), max(values)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        step = 10 ** math.floor(math.log10((high - low) / 4))
        step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
        first, last = math.floor(low / step), math.ceil(high / step)
        ticks = [round(step * number, 10) for number in range(first, last + 1)]
        return cls(title, ticks[0], ticks[-1], float, ticks)

    @classmethod
    def logarithmic(cls, title: str, values: Sequence[float]) -> "Axis":
        """Over positive values, from a power of ten to another."""
        first = math.floor(math.log10(min(values)))
        last = max(first + 1, math.ceil(math.log10(max(values))))
        ticks = [10.0**power for power in range(first, last + 1)]
        # A little more, so that no point lies on the border.
        return cls(title, ticks[0] / 1.3, ticks[-1] * 1.3, math.log10, ticks)

    def share(self, value: float) -> float:
        """How far along the axis a value is, in [0, 1]."""
        low, high = self.scale(self.low), self.scale(self.high)
        return min(1.0, max(0.0, (self.scale(value) - low) / (high - low)))


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
    """A row's mean response, and where it may be."""

    name: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def scatter(
    label: str,
    points: Sequence[Point],
    x: Axis,
    y: Axis,
    looks: dict[str, Style],
    level: tuple[str, float] | None = None,
) -> str:
    """Points with their intervals and, where there is room, their names.

    Args:
        label: what the figure shows, for those who cannot see it.
        points: what is in it.
        x: the axis below.
        y: the axis at the left.
        looks: of each name.
        level: a line across the figure: its text and its value of y.
    """
    parts = []
    # What may not be written over: circles first, then each label that found its place.
    taken = [_around(*_place(point.x, point.y, x, y), 5) for point in points]
    if level is not None:
        _, height = _place(x.low, level[1], x, y)
        parts.append(
            f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" '
            f'y2="{height:.1f}"/><text class="note" x="{WIDTH - RIGHT - 4}" y="{height - 4:.1f}" '
            f'text-anchor="end">{escape(level[0])}</text>'
        )
        long = LETTER * len(level[0])
        taken.append((WIDTH - RIGHT - 4 - long, height - LINE - 3, WIDTH - RIGHT, height))
    for point in points:
        across, height = _place(point.x, point.y, x, y)
        look = looks[point.name]
        bar = ""
        if point.interval is not None:
            ends = [_place(point.x, value, x, y)[1] for value in point.interval]
            bar = (
                f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{ends[0]:.1f}" '
                f'y2="{ends[1]:.1f}" stroke="{look.colour}" opacity=".5"/>'
            )
        fill = "none" if look.trivial else look.colour
        parts.append(
            f"<g><title>{escape(point.name)}: {point.x:.3g}, {point.y:.3g}</title>{bar}"
            f'<circle cx="{across:.1f}" cy="{height:.1f}" r="4.5" fill="{fill}" '
            f'stroke="{look.colour}" stroke-width="1.5"/></g>'
        )
        parts.append(_label(point.name, across, height, taken))
    return _figure(label, "".join(parts), x, y)


def lines(label: str, curves: Sequence[Curve], x: Axis, y: Axis, looks: dict[str, Style]) -> str:
    """Curves with their bands, each in a group that a page can hide; arguments as of `scatter`."""
    parts = []
    for curve in curves:
        look = looks[curve.name]
        band = ""
        if not look.trivial:
            around = [*zip(curve.x, curve.high, strict=True)]
            around += reversed([*zip(curve.x, curve.low, strict=True)])
            outline = _path(around, x, y)
            band = f'<path d="{outline}Z" opacity=".13" fill="{look.colour}"/>'
        middle = _path([*zip(curve.x, curve.mean, strict=True)], x, y)
        parts.append(
            f'<g data-row="{escape(curve.name)}"><title>{escape(curve.name)}</title>{band}'
            f'<path d="{middle}" fill="none" {look.stroke}/></g>'
        )
    return _figure(label, "".join(parts), x, y)


def _figure(label: str, inside: str, x: Axis, y: Axis) -> str:
    """The axes around what is in a figure."""
    parts = []
    for tick in x.ticks:
        across, _ = _place(tick, y.low, x, y)
        parts.append(
            f'<line class="grid" x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" '
            f'y2="{HEIGHT - BOTTOM}"/><text x="{across:.1f}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{tick:g}</text>'
        )
    for tick in y.ticks:
        _, height = _place(x.low, tick, x, y)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" '
            f'y2="{height:.1f}"/><text x="{LEFT - 7}" y="{height + 4:.1f}" '
            f'text-anchor="end">{tick:g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    titles = (
        f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{escape(x.title)}</text>'
        f'<text class="title" transform="translate(14 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.title)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}{titles}{inside}</svg>"
    )


def _place(across: float, height: float, x: Axis, y: Axis) -> tuple[float, float]:
    """Where in the picture a pair of values is."""
    right = LEFT + x.share(across) * (WIDTH - LEFT - RIGHT)
    return right, HEIGHT - BOTTOM - y.share(height) * (HEIGHT - TOP - BOTTOM)


def _path(pairs: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    places = (_place(*pair, x, y) for pair in pairs)
    return "M" + "L".join(f"{across:.1f} {height:.1f}" for across, height in places)


Box = tuple[float, float, float, float]


def _around(across: float, height: float, radius: float) -> Box:
    return across - radius, height - radius, across + radius, height + radius


def _label(name: str, across: float, height: float, taken: list[Box]) -> str:
    """The name beside its point, where it hides nothing; nothing, if it would everywhere."""
    long = LETTER * len(name)
    for right, down in (
        (8, 4), (-8 - long, 4), (-long / 2, -9), (-long / 2, 17), (8, -7), (8, 15),
        (-8 - long, -7), (-8 - long, 15), (8, 27), (8, -19), (-8 - long, 27), (-8 - long, -19),
    ):  # fmt: skip
        left, base = across + right, height + down
        box = (left, base - LINE + 3, left + long, base + 3)
        inside = left > LEFT and left + long < WIDTH - RIGHT and TOP < base < HEIGHT - BOTTOM
        if inside and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return f'<text x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>'
    return ""


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
