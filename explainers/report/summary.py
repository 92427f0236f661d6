"""Which rows of a comparison stand where, in words: for people who read its report."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape

from explainers.evaluation.records import Row
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.metrics import CHOICES

TITLES = {
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
    metric = CHOICES[name]() if name in CHOICES else None
    return getattr(metric, "higher_is_better", None)


def title(name: str) -> str:
    """A metric's name as a heading."""
    return TITLES.get(name, name.replace("_", " "))


def description(name: str) -> str:
    """What a metric is, in the first sentence of its own description."""
    metric = type(CHOICES[name]()) if name in CHOICES else None
    lines = (inspect.getdoc(metric) or "").split("\n\n")[0] if metric else ""
    return " ".join(lines.split())


def number(value: float) -> str:
    """Three digits, or as many as there are before the point."""
    if isinstance(value, int) or value == 0 or abs(value) >= 99.95:
        return f"{value:.0f}"
    if abs(value) >= 0.0095:
        return f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"
    return f"{value:.1g}"


def best_of(rows: Sequence[Row], name: str) -> Row | None:
    """The first of the rows with the best score; None if no row has any."""
    scored = [row for row in rows if row.get(name) is not None]
    if not scored:
        return None
    choose: Callable[..., Row] = max if higher_is_better(name) else min
    return choose(scored, key=lambda row: row[name])


def interval_of(row: Row, name: str) -> tuple[float, float] | None:
    """The interval of a row's score, if it has one."""
    low, high = row.get(f"{name}_interval") or (None, None)
    return None if low is None or high is None else (low, high)


def notes(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[str]:
    """What a reader should know before the table, as HTML."""
    trivial = [row for row in rows if row["explainer"] in UNINFORMATIVE]
    methods = [row for row in rows if row["explainer"] not in UNINFORMATIVE]
    for name in metrics:
        best, best_trivial = best_of(methods, name), best_of(trivial, name)
        if best is None:
            continue
        heading = f"<b>{escape(title(name))}</b>: "
        own = f"{_named(best)} {_figure(best, name)}"
        if best_trivial is None:
            yield f"{heading}best {own}."
            continue
        other = f"{_named(best_trivial)} {_figure(best_trivial, name)}"
        sign = 1 if higher_is_better(name) else -1
        if sign * (best[name] - best_trivial[name]) <= 0:
            yield (
                f'<span class="warn">{heading}reached by a map that explains nothing</span>, '
                f"{other}; the best method has {own}. Do not rank methods by it alone."
            )
        elif _apart(best, best_trivial, name):
            yield f"{heading}best {own}; the best trivial map has {other}."
        else:
            yield (
                f"{heading}best {own}, and a map that explains nothing, {other}: their intervals "
                "meet, so these images do not tell them apart."
            )
    for row in rows:
        if row.get("failed"):
            reason = escape(str(row["failed"][0]["reason"]))
            yield (
                f'<span class="warn">{_named(row)} failed on {len(row["failed"])} images</span>, '
                f"so its scores are of {row['images']} others: {reason}"
            )
        if row.get("maps_left_out"):
            yield (
                f'<span class="warn">{row["maps_left_out"]} maps of {_named(row)} were not '
                "scored</span>: they were constant, or not finite."
            )


def _apart(one: Row, other: Row, name: str) -> bool:
    """Whether the intervals of two scores do not meet."""
    ours, theirs = interval_of(one, name), interval_of(other, name)
    if ours is None or theirs is None:
        return True
    return ours[0] > theirs[1] or theirs[0] > ours[1]


def _named(row: Row) -> str:
    return f"<code>{escape(row['explainer'])}</code>"


def _figure(row: Row, name: str) -> str:
    between = interval_of(row, name)
    text = number(row[name])
    return text + (f" [{number(between[0])}, {number(between[1])}]" if between else "")
