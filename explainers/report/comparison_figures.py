"""Figures of a comparison's report: response curves, and quality against costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explainers.evaluation.records import Row
from explainers.report.figures import Curve, Point, curve_plot, scatter_plot
from explainers.report.row_styles import Style
from explainers.report.summary import best_of, higher_is_better, interval_of, is_uninformative

# Costs are drawn against the first of these that is measured and that no baseline wins.
QUALITY = ("insertion", "deletion", "road_lerf_probability", "average_gain", "average_drop")

Styles = Mapping[str, Style]


@dataclass(frozen=True)
class CaptionedFigure:
    """A figure as SVG, and the sentence below it."""

    svg: str
    caption: str


def curve_figures(rows: Sequence[Row], styles: Styles) -> list[CaptionedFigure]:
    """One figure for each metric that is an area under a curve."""
    figures = []
    for name in dict.fromkeys(name for row in rows for name in row.get("curves", ())):
        curves = []
        for row in rows:
            if kept := row.get("curves", {}).get(name):
                parts = (kept["share"], kept["mean"], kept["low"], kept["high"])
                curves.append(Curve(row["explainer"], *parts))
        response = "similarity" if name.startswith("similarity") else "probability"
        title = name.replace("_", " ")
        svg = curve_plot(f"Curves of {title}", curves, f"{response} of the target", styles)
        better = "higher" if higher_is_better(name) else "lower"
        caption = (
            f"{title.capitalize()}: {better} is better. Mean over the images; bands are its 95 % "
            "bootstrap interval."
        )
        figures.append(CaptionedFigure(svg, caption))
    return figures


def trade_off_figures(
    rows: Sequence[Row], metrics: Sequence[str], styles: Styles
) -> list[CaptionedFigure]:
    """Average drop against area, and quality against costs, as far as they are known."""
    figures = []
    placed = [row for row in rows if _has(row, "average_drop", "map_area")]
    if placed:
        svg = scatter_plot(
            "Average drop against area",
            _points(placed, "map_area", "average_drop"),
            "mean map value, % (area)",
            "average drop, %",
            styles,
            x_values=(0, 100),
            y_values=(0,),
        )
        caption = (
            "Average drop (lower is better) against the area that is kept: keeping everything "
            "costs nothing, so compare methods of like area."
        )
        figures.append(CaptionedFigure(svg, caption))
    quality = quality_of(rows, metrics)
    if quality is not None:
        costs = {
            "seconds_per_image": "seconds an image",
            "classifier_passes_per_image": "passes through the classifier an image",
        }
        figures += [
            figure
            for cost, title in costs.items()
            if (figure := _cost(rows, quality, cost, title, styles)) is not None
        ]
    return figures


def _cost(
    rows: Sequence[Row], quality: str, cost: str, title: str, styles: Styles
) -> CaptionedFigure | None:
    """Quality of the methods against a cost; the uninformative baselines cost nothing."""
    methods = [row for row in rows if not is_uninformative(row)]
    paid = [row for row in methods if _has(row, cost, quality) and row[cost] > 0]
    if not paid:
        return None
    best = best_of([row for row in rows if is_uninformative(row)], quality)
    level = None
    if best is not None:
        level = (f"best uninformative baseline: {best['explainer']}", best[quality])
    name = quality.replace("_", " ")
    svg = scatter_plot(
        f"{name} against {title}",
        _points(paid, cost, quality),
        title,
        name,
        styles,
        logarithmic=True,
        level=level,
    )
    better = "higher" if higher_is_better(quality) else "lower"
    caption = f"{name.capitalize()} ({better} is better) against {title}, on a logarithmic scale."
    return CaptionedFigure(svg, caption)


def quality_of(rows: Sequence[Row], metrics: Sequence[str]) -> str | None:
    """The metric that costs are drawn against; None if the metrics have no direction."""
    order = [name for name in QUALITY if name in metrics]
    order += [name for name in metrics if name not in order and higher_is_better(name) is not None]
    for name in order:
        winner = best_of(rows, name)
        if winner is not None and not is_uninformative(winner):
            return name
    return order[0] if order else None


def _has(row: Row, *names: str) -> bool:
    return all(row.get(name) is not None for name in names)


def _points(rows: Sequence[Row], x: str, y: str) -> list[Point]:
    return [Point(row["explainer"], row[x], row[y], interval_of(row, y)) for row in rows]
