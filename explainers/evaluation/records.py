"""Scores as rows: what each explainer reached, how certain that is, and the table that shows it."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from explainers.evaluation.bootstrap import bootstrap_interval

Row = dict[str, Any]

NAMES = ("explainer", "key", "group")
"""Columns of records that are text, also where they look like numbers."""

BEFORE_TRAINING = "before_training"
"""The row of what a fit started from."""

ON_MOSAICS = "_on_mosaics"
"""End of the name of a metric that was taken on mosaics of a test's images, too."""


def annotate(row: Row, records: Sequence[Row]) -> Row:
    """Add to a row of figures how certain they are.

    Records that share a `group` are not independent, and are resampled together: what varies is
    the mean of a group.

    `METRIC_interval`, [low, high], for each metric that has a value an image; where there are any,
    `undefined`: for how many images it has none, and `maps_left_out`: how many maps no metric saw,
    as they were constant or had a NaN.
    """
    extra: Row = {}
    undefined: dict[str, int] = {}
    for name, figure in row.items():
        if not isinstance(figure, float) or not any(name in record for record in records):
            continue
        values = torch.tensor([record[name] for record in records])
        extra[f"{name}_interval"] = list(bootstrap_interval(means_of_groups(values, records)))
        if missing := int(values.isnan().sum()):
            undefined[name] = missing
    if undefined:
        extra["undefined"] = undefined
    if left_out := int(sum(record.get("map_left_out", 0) for record in records)):
        extra["maps_left_out"] = left_out
    return row | extra


def means_of_groups(values: torch.Tensor, records: Sequence[Row]) -> torch.Tensor:
    """The mean (g) of each group of values (n), NaN left out; records without one are alone."""
    groups: dict[Any, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(record.get("group", index), []).append(index)
    return torch.stack([values[indices].nanmean() for indices in groups.values()])


def as_json(value: Any) -> Any:  # noqa: ANN401  plain values of any depth
    """The same plain value with null for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_records(records: Sequence[Row], path: Path) -> None:
    """Write one line an image and explainer, as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for record in records for name in record))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)


def gathered(records: list[Row]) -> list[Row]:
    """The records of all processes, which all have to ask."""
    if not torch.distributed.is_initialized():
        return records
    parts: list[list[Row]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(parts, records)
    return [record for part in parts for record in part]


def read_records(path: Path) -> list[Row]:
    """Read what `write_records` wrote."""
    with path.open(newline="") as file:
        return [
            {name: value if name in NAMES else _number(value) for name, value in record.items()}
            for record in csv.DictReader(file)
        ]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
