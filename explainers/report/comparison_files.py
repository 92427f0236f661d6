"""The files of a comparison: results.json, table.md, records.csv, panel.png and report.html."""

import json
from pathlib import Path

from explainers.durable_files import write_aside
from explainers.evaluation.comparison_results import Results
from explainers.evaluation.costs import sentences
from explainers.evaluation.records import Row, as_json, write_records
from explainers.report.conclusions import differences_table, with_conclusions
from explainers.report.html_report import report
from explainers.report.panel import write_panel
from explainers.report.table import table


def in_words(found: Row, intervals: bool = False) -> str:
    """Conclusions, table, differences and costs, as Markdown.

    Args:
        found: as `with_conclusions` gives it.
        intervals: write the 95 % interval beside each figure of the table.
    """
    parts = [
        " ".join(found["headline"]),
        "\n".join(f"- {sentence}" for sentence in found["verdicts"]),
        table(found["rows"], found["protocol"], intervals),
        differences_table(found["differences"]) if "differences" in found else "",
        "\n".join(f"- {sentence}" for sentence in sentences(found["rows"])),
    ]
    return "\n\n".join(part for part in parts if part)


def write_comparison(results: Results, folder: Path) -> Row:
    """Write what a comparison found into a folder, each file aside first and then in place.

    Returns:
        The content of results.json, as `with_conclusions` gives it.
    """
    found = with_conclusions(results)
    write_aside(folder / "results.json", json.dumps(as_json(found), indent=2).encode())
    write_aside(folder / "table.md", (in_words(found, intervals=True) + "\n").encode())
    write_records(results.records, folder / "records.csv")
    if results.pictures:
        write_panel(results.pictures, folder / "panel.png")
    page = report(as_json(found), results.pictures, results.records)
    write_aside(folder / "report.html", page.encode())
    return found
