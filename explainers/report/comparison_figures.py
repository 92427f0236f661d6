"""The figures of a comparison's report: curves, and what a method pays for what it reaches."""

from collections.abc import Sequence
from html import escape

from explainers.evaluation.records import Row
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.report.figures import Axis, Curve, Point, lines, scatter
from explainers.report.row_styles import Style
from explainers.report.summary import best_of, higher_is_better, interval_of

# What the costs are drawn against: the first of these that is there and that no trivial map wins.
QUALITY = ("insertion", "deletion", "road_lerf_probability", "average_gain", "average_drop")


def curve_figures(rows: Sequence[Row], looks: dict[str, Style]) -> str:
    """A figure for each metric that is an area under a curve; nothing, if there is none."""
    found = list(dict.fromkeys(name for row in rows for name in row.get("curves", ())))
    if not found:
        return ""
    figures = ""
    shares = Axis("share of the pixels, most important first", 0, 1, float, [0, 0.25, 0.5, 0.75, 1])
    for name in found:
        curves = []
        for row in rows:
            if kept := row.get("curves", {}).get(name):
                parts = (kept["share"], kept["mean"], kept["low"], kept["high"])
                curves.append(Curve(row["explainer"], *parts))
        what = "similarity" if name.startswith("similarity") else "probability"
        values = [value for curve in curves for value in (*curve.low, *curve.high)]
        heights = Axis.linear(f"{what} of the target", [0, *values])
        better = "higher" if higher_is_better(name) else "lower"
        title = name.replace("_", " ")
        figures += (
            f"<figure>{lines(f'Curves of {title}', curves, shares, heights, looks)}<figcaption>"
            f"{escape(title.capitalize())}: {better} is better. Mean over the images; bands are "
            "its 95 % bootstrap interval.</figcaption></figure>"
        )
    shown = [row["explainer"] for row in rows if row.get("curves")]
    items = "".join(
        f'<li><button aria-pressed="true" data-row="{escape(name)}"><svg viewBox="0 0 26 10" '
        f'aria-hidden="true"><line x1="0" x2="26" y1="5" y2="5" {looks[name].stroke}/></svg>'
        f"{escape(name)}</button></li>"
        for name in shown
    )
    return f'<h2>Curves</h2><ul class="legend">{items}</ul><div class="figures">{figures}</div>'


def trade_off_figures(rows: Sequence[Row], metrics: Sequence[str], looks: dict[str, Style]) -> str:
    """Average drop against area, and quality against costs, as far as they are known."""
    figures = ""
    placed = [row for row in rows if _has(row, "average_drop", "map_area")]
    if placed:
        points = _points(placed, "map_area", "average_drop")
        x = Axis.linear("mean map value, % (area)", [0, 100])
        y = Axis.linear("average drop, %", [0, *_heights(points)])
        figures += (
            f"<figure>{scatter('Average drop against area', points, x, y, looks)}<figcaption>"
            "Average drop (lower is better) against the area that is kept: keeping everything "
            "costs nothing, so compare methods of like area.</figcaption></figure>"
        )
    quality = _quality(rows, metrics)
    if quality is not None:
        figures += _cost(rows, quality, "seconds_per_image", "seconds an image", looks)
        passes = "passes through the classifier an image"
        figures += _cost(rows, quality, "classifier_passes_per_image", passes, looks)
    return f'<h2>Trade-offs</h2><div class="figures">{figures}</div>' if figures else ""


def _cost(rows: Sequence[Row], quality: str, name: str, title: str, looks: dict[str, Style]) -> str:
    """What the methods reach against what they cost; the trivial maps cost nothing."""
    methods = [row for row in rows if row["explainer"] not in UNINFORMATIVE]
    paid = [row for row in methods if _has(row, name, quality) and row[name] > 0]
    if not paid:
        return ""
    points = _points(paid, name, quality)
    best = best_of([row for row in rows if row["explainer"] in UNINFORMATIVE], quality)
    level = (f"best trivial map: {best['explainer']}", best[quality]) if best else None
    what = quality.replace("_", " ")
    x = Axis.logarithmic(title, [point.x for point in points])
    y = Axis.linear(what, [*_heights(points), *([level[1]] if level else [])])
    better = "higher" if higher_is_better(quality) else "lower"
    return (
        f"<figure>{scatter(f'{what} against {title}', points, x, y, looks, level)}<figcaption>"
        f"{escape(what.capitalize())} ({better} is better) against {title}, on a logarithmic "
        "scale.</figcaption></figure>"
    )


def _quality(rows: Sequence[Row], metrics: Sequence[str]) -> str | None:
    """The metric that costs are drawn against; None if the metrics have no direction."""
    order = [name for name in QUALITY if name in metrics]
    order += [name for name in metrics if name not in order and higher_is_better(name) is not None]
    for name in order:
        winner = best_of(rows, name)
        if winner is not None and winner["explainer"] not in UNINFORMATIVE:
            return name
    return order[0] if order else None


def _has(row: Row, *names: str) -> bool:
    return all(row.get(name) is not None for name in names)


def _points(rows: Sequence[Row], x: str, y: str) -> list[Point]:
    return [Point(row["explainer"], row[x], row[y], interval_of(row, y)) for row in rows]


def _heights(points: Sequence[Point]) -> list[float]:
    """All values that the points and their intervals take of y."""
    return [value for point in points for value in (point.y, *(point.interval or ()))]
