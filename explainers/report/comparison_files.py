"""The files of a comparison: results.json, table.md, records.csv, panel.png and report.html."""

import json
from pathlib import Path

from explainers.durable_files import write_aside
from explainers.evaluation.comparison import Results
from explainers.evaluation.costs import sentences
from explainers.evaluation.records import Row, as_json, write_records
from explainers.report.html_report import report
from explainers.report.panel import write_panel
from explainers.report.table import table


def write_comparison(results: Results, folder: Path) -> None:
    """Write what a comparison found into a folder, each file aside first and then in place."""
    found: Row = {"protocol": results.protocol, "rows": results.rows}
    if results.references is not None:
        found["references"] = results.references
    write_aside(folder / "results.json", json.dumps(as_json(found), indent=2).encode())
    costs = (f"- {sentence}" for sentence in sentences(results.rows))
    text = "\n".join([table(results.rows, results.protocol), "", *costs])
    write_aside(folder / "table.md", (text.strip() + "\n").encode())
    write_records(results.records, folder / "records.csv")
    if any(results.pictures.values()):
        write_panel(results.pictures, folder / "panel.png")
    write_aside(folder / "report.html", report(as_json(found), results.pictures).encode())
