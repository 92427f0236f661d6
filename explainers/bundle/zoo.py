"""The page of the published bundles, from their own files: `python -m explainers.bundle.zoo`.

Reads config.json of each bundle and, where there is one, comparison.json: the results.json of an
`explainers compare` with the bundle in it.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explainers.bundle.card import template
from explainers.evaluation.costs import Training
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.report.table import SHORT
from explainers.shipped import shipped_bundles
from explainers.training.bundle_files import read_config

BESIDE = "grad_cam"
"""The row of a comparison that stands beside the bundle's."""


def published_bundles() -> dict[str, Path]:
    """Bundles of the package but the one that the demo writes among them in a checkout."""
    return {name: folder for name, folder in shipped_bundles().items() if name != "demo"}


def zoo_page(bundles: Mapping[str, Path]) -> str:
    """The page as Markdown.

    Args:
        bundles: folders by name.
    """
    described = [_described(name, folder) for name, folder in bundles.items()]
    return template("zoo.md.j2").render(bundles=described)


def _described(name: str, folder: Path) -> dict[str, Any]:
    """What the page tells of a bundle."""
    config = read_config(folder / "config.json")
    source = config["hyperparameters"].get("classifier")
    scores = config.get("scores") or []
    training = config.get("training") or {}
    settings = training.get("data settings") or {}
    path = folder / "comparison.json"
    compared = json.loads(path.read_text()) if path.is_file() else {"rows": [], "protocol": {}}
    rows = {row["explainer"]: row for row in compared["rows"]}
    return {
        "name": name,
        "class": config["class"],
        "classifier": source.get("model") if isinstance(source, dict) else source,
        "kilobytes": round((folder / "model.safetensors").stat().st_size / 1000),
        "license": config.get("license", "not recorded"),
        "data": settings.get("train", training.get("data", "not recorded")),
        "test_data": settings.get("test", training.get("data", "not recorded")),
        "steps": training.get("steps"),
        "time": str(Training.of_record(training)),
        "scores": _table([row for row in scores if row["explainer"] not in UNINFORMATIVE]),
        "protocol": config.get("protocol", {}),
        "comparison": _table(compared["rows"]) if rows else "",
        "comparison_protocol": compared["protocol"],
        "gain": _cell(rows.get(name, {}), "average_gain"),
        "gain_beside": _cell(rows.get(BESIDE, {}), "average_gain"),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with intervals as a Markdown table, a column a metric."""
    names = [name for name in (rows[0] if rows else {}) if f"{name}_interval" in rows[0]]
    lines = [["", *(SHORT.get(name, name.replace("_", " ")) for name in names)]]
    lines += [["---", *("---:" for _ in names)]]
    lines += [[row["explainer"], *(_cell(row, name) for name in names)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Mapping[str, Any], name: str) -> str:
    """A figure with its interval; a dash where there is none."""
    if row.get(name) is None or row.get(f"{name}_interval") is None:
        return "-"
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.1f} [{low:.1f}, {high:.1f}]"


def main() -> None:
    """Write the page of the bundles in checkpoints/."""
    parser = argparse.ArgumentParser(description="Write the page of the published bundles.")
    parser.add_argument("--output", type=Path, default=Path("docs/zoo.md"))
    parser.parse_args().output.write_text(zoo_page(published_bundles()), encoding="utf-8")


if __name__ == "__main__":
    main()
