"""Scores as rows: the explainer's and the trivial ones, and the table that shows them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from explainers.trivial import ROWS

COLUMNS = {
    "average_drop": "AD % ↓",
    "average_increase": "AI % ↑",
    "average_gain": "AG % ↑",
}
PROTOCOL = {
    "target": "the classifier's own prediction",
    "map": "as the explainer answers, in [0, 1]",
    "fill": "black (pixel value 0)",
    "precision": "float32",
}

Row = dict[str, Any]


def rows(explainer: str, logged: Mapping[str, Tensor]) -> list[Row]:
    """Collect the figures that a test logged: one row for the explainer, one a trivial map."""
    prefixes = {explainer: "test/"} | {row: f"test/{row}/" for row in ROWS}
    return [
        {"explainer": name} | {metric: float(logged[prefix + metric]) for metric in COLUMNS}
        for name, prefix in prefixes.items()
    ]


def table(scores: list[Row]) -> str:
    """Lay rows out as a Markdown table."""
    width = max(len(row["explainer"]) for row in scores)
    head = f"| {'explainer':{width}} | " + " | ".join(COLUMNS.values()) + " |"
    rule = f"|{'-' * (width + 2)}|" + "|".join("-" * (len(c) + 1) + ":" for c in COLUMNS.values())
    lines = [
        f"| {row['explainer']:{width}} | "
        + " | ".join(f"{row[key]:{len(title)}.2f}" for key, title in COLUMNS.items())
        + " |"
        for row in scores
    ]
    return "\n".join([head, rule + "|", *lines])
