"""The results of a comparison as one HTML page that fetches nothing: `report.html`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from explainers.evaluation.comparison_results import Pictured
from explainers.evaluation.costs import sentences
from explainers.evaluation.protocol import heading_note
from explainers.evaluation.records import Row
from explainers.report.comparison_figures import curve_figures, quality_of, trade_off_figures
from explainers.report.map_strips import strips
from explainers.report.row_styles import row_key, row_styles
from explainers.report.summary import (
    TITLES,
    best_of,
    description,
    higher_is_better,
    interval_of,
    is_uninformative,
    metrics_of,
    number,
    title,
)


@dataclass(frozen=True)
class Column:
    """A column of the table of scores.

    Attributes:
        title: its heading.
        better: whether higher is; None where neither is.
        description: of a metric; empty for the columns beside the metrics.
        hint: shown when the heading is pointed at.
    """

    title: str
    better: bool | None
    description: str
    hint: str


@dataclass(frozen=True)
class Cell:
    """A score in the table.

    Attributes:
        value: for sorting; empty where there is none.
        text: as it is shown.
        interval: as it is shown below the score, or empty.
        best: of its column.
    """

    value: float | str
    text: str
    interval: str
    best: bool


def report(results: Row, pictures: Sequence[Pictured] = (), records: Sequence[Row] = ()) -> str:
    """Lay out a comparison.

    Args:
        results: the content of results.json; null, None, stands for unknown figures.
        pictures: images with the maps of the rows.
        records: one an image and row.

    Returns:
        HTML, its pictures and figures within.
    """
    rows = results["rows"]
    baselines = [row["explainer"] for row in rows if is_uninformative(row)]
    styles = row_styles([row["explainer"] for row in rows], baselines)
    metrics = metrics_of(rows)
    names = [*metrics, *(name for name in TITLES if any(name in row for row in rows))]
    told = ("rows", "headline", "verdicts")
    rest = {name: part for name, part in results.items() if name not in told}
    protocol = results["protocol"]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            classifier=protocol.get("classifier", {}).get("source", {}).get("model", ""),
            target=protocol.get("target", "unknown"),
            methods=len(rows) - len(baselines),
            baselines=len(baselines),
            images=max((row["images"] for row in rows), default=0),
            rows=rows,
            headline=results.get("headline", []),
            verdicts=results.get("verdicts", []),
            columns=[_column(name, protocol) for name in names],
            table=_table(rows, names, metrics),
            costs=list(sentences(rows)),
            legend=[
                (row_key(row["explainer"], styles), row["explainer"], styles[row["explainer"]])
                for row in rows
                if row.get("curves")
            ],
            curves=curve_figures(rows, styles),
            trade_offs=trade_off_figures(rows, metrics, styles),
            strips=strips(pictures, records, baselines, metrics, quality_of(rows, metrics)),
            directed=[
                (name, title(name)) for name in metrics if higher_is_better(name) is not None
            ],
            lower=[name for name in metrics if higher_is_better(name) is False],
            protocol=json.dumps(rest, indent=2),
        )
    )


def _environment() -> Environment:
    """Templates of the page, with everything escaped that is put into them."""
    environment = Environment(
        loader=PackageLoader("explainers.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["code"] = _code
    return environment


def _code(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", str(escape(text))))


def _column(name: str, protocol: Mapping[str, Any]) -> Column:
    explained, note = description(name), heading_note(name, protocol)
    hint = explained or name.replace("_", " ")
    shown = f"{title(name)} ({note})" if note else title(name)
    return Column(shown, higher_is_better(name), explained, hint)


def _table(
    rows: Sequence[Row], names: Sequence[str], metrics: Sequence[str]
) -> list[tuple[str, bool, list[Cell]]]:
    """The name of each row, whether it is a baseline, and its cells."""
    differing = [name for name in metrics if len({row.get(name) for row in rows}) > 1]
    best = {name: best_of(rows, name) for name in differing}
    return [
        (
            row["explainer"],
            is_uninformative(row),
            [_cell(row, name, best.get(name) is row) for name in names],
        )
        for row in rows
    ]


def _cell(row: Row, name: str, best: bool) -> Cell:
    value = row.get(name)
    if value is None:
        return Cell("", "unknown" if name == "training_seconds" else "-", "", False)
    between = interval_of(row, name)
    interval = f"{number(between[0])} … {number(between[1])}" if between else ""
    return Cell(value, number(value), interval, best)
