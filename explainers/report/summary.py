"""Parts of a summary of a comparison: titles, directions, numbers, best scores, intervals."""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache

from explainers.evaluation.metric_fills import build_metric, is_metric
from explainers.evaluation.records import ON_MOSAICS, Row
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.metrics import CHOICES

TITLES = {
    "mean_rank": "mean rank",
    "map_area": "area %",
    "seconds_per_image": "seconds",
    "classifier_passes_per_image": "passes",
    "training_seconds": "training seconds",
    "images": "images",
}
"""The columns of a table beside the metrics."""


@cache
def higher_is_better(name: str) -> bool | None:
    """The direction of a metric; None for what has none, such as the area."""
    name = name.removesuffix(ON_MOSAICS)
    metric = build_metric(name) if is_metric(name) else None
    return getattr(metric, "higher_is_better", None)


def metrics_of(rows: Sequence[Row]) -> list[str]:
    """The metrics that rows have figures of, in the order of `metrics.CHOICES`, fills together."""
    order = list(CHOICES)
    names = dict.fromkeys(name for row in rows for name in row if is_metric(name))
    return sorted(names, key=lambda name: order.index(name.partition("@")[0]))


def is_uninformative(row: Row) -> bool:
    """Whether a row is an uninformative baseline."""
    return row["explainer"] in UNINFORMATIVE


def title(name: str) -> str:
    """A metric's name as a heading."""
    base, _, fill = name.partition("@")
    return TITLES.get(name, base.replace("_", " ") + (f", {fill}" if fill else ""))


def description(name: str) -> str:
    """The first sentence of a metric's documentation."""
    metric = type(build_metric(name)) if is_metric(name) else None
    lines = (inspect.getdoc(metric) or "").split("\n\n")[0] if metric else ""
    return " ".join(lines.split())


def number(value: float) -> str:
    """Three digits, or as many as there are before the point."""
    if isinstance(value, int) or value == 0 or abs(value) >= 99.95:
        return f"{value:.0f}"
    if abs(value) >= 0.0095:
        return f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"
    return f"{value:.1g}"


def scored(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows whose score is known, and not NaN."""
    return [row for row in rows if row.get(name) is not None and not math.isnan(row[name])]


def best_of(rows: Sequence[Row], name: str) -> Row | None:
    """The first of the rows with the best score; None if no row has any."""
    choose: Callable[..., Row] = max if higher_is_better(name) else min
    return choose(scored(rows, name), key=lambda row: row[name], default=None)


def interval_of(row: Row, name: str) -> tuple[float, float] | None:
    """The interval of a row's score, if it has one."""
    low, high = row.get(f"{name}_interval") or (None, None)
    return None if low is None or high is None else (low, high)
