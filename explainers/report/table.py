"""Rows of scores as a Markdown table."""

from collections.abc import Mapping, Sequence
from typing import Any

from explainers.evaluation.protocol import heading_note
from explainers.evaluation.records import ON_MOSAICS, Row
from explainers.report.summary import interval_of

SHORT = {
    "average_drop": "AD % ↓",
    "average_increase": "AI % ↑",
    "average_gain": "AG % ↑",
    f"average_gain{ON_MOSAICS}": "AG % ↑ on mosaics",
    "map_area": "area %",
    "training_seconds": "training s",
}


def table(
    rows: Sequence[Row], protocol: Mapping[str, Any] | None = None, intervals: bool = False
) -> str:
    """Lay rows out as a Markdown table, one column a metric.

    Args:
        rows: figures, each row's `explainer` first.
        protocol: of the results; the headings of metrics name their chance level, or the
            normalisation of the maps that they depend on.
        intervals: write the 95 % interval beside each figure that has one.
    """
    names = list(
        dict.fromkeys(name for row in rows for name in row if isinstance(row[name], float))
    )
    titles = [_title(name, protocol or {}) for name in names]
    width = max(len(row["explainer"]) for row in rows)
    cells = [[_cell(name, row, intervals) for name in names] for row in rows]
    widths = [
        max(6, len(title), *map(len, column))
        for title, column in zip(titles, zip(*cells, strict=True), strict=True)
    ]

    def line(first: str, others: Sequence[str]) -> str:
        padded = [f"{text:>{size}}" for text, size in zip(others, widths, strict=True)]
        return f"| {first:{width}} | " + " | ".join(padded) + " |"

    rule = f"|{'-' * (width + 2)}|" + "".join("-" * (size + 1) + ":|" for size in widths)
    body = [line(row["explainer"], texts) for row, texts in zip(rows, cells, strict=True)]
    return "\n".join([line("explainer", titles), rule, *body])


def _title(name: str, protocol: Mapping[str, Any]) -> str:
    title, note = SHORT.get(name, name.replace("_", " ")), heading_note(name, protocol)
    return f"{title} ({note})" if note else title


def _cell(name: str, row: Row, intervals: bool) -> str:
    value = row.get(name)
    if value is None:
        return "unknown" if name == "training_seconds" else "-"
    if name == "training_seconds":
        return f"{value:.0f}"
    between = interval_of(row, name) if intervals else None
    return f"{value:.2f}" + (f" [{between[0]:.2f}, {between[1]:.2f}]" if between else "")
