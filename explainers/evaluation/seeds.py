"""Several trainings of one method as one row: intervals over images and over seeds."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from explainers.evaluation.costs import Training
from explainers.evaluation.records import Row, annotate

CONFIDENCE = 0.95
COSTS = ("seconds_per_image", "classifier_passes_per_image")


def member_name(name: str, index: int) -> str:
    """Name of the row of one training of a method."""
    return f"{name}#{index + 1}"


def seeds_interval(values: Sequence[float]) -> tuple[float, float]:
    """Interval of the mean over trainings: Student's t at 95 %; NaN for a single one."""
    if len(values) < 2 or any(map(math.isnan, values)):
        return math.nan, math.nan
    half = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return fmean(values) - half, fmean(values) + half


def mean_records(name: str, members: Sequence[Sequence[Row]]) -> list[Row]:
    """Records of the mean over trainings, for the images that all of them have a record of.

    Args:
        name: of the method.
        members: the records of each training.
    """
    by_key = [{record["key"]: record for record in records} for records in members]
    found = []
    for key, record in by_key[0].items():
        if all(key in others for others in by_key):
            same = [others[key] for others in by_key]
            found.append(record | {"explainer": name} | _mean(same))
    return found


def merge(name: str, rows: Sequence[Row], records: Sequence[Row]) -> Row:
    """The row of a method that was trained several times.

    Args:
        name: of the method.
        rows: of its trainings.
        records: as `mean_records` gives them.

    Returns:
        Means of the rows' figures, `METRIC_interval` over the images, `METRIC_seeds`, each
        training's figure, and `METRIC_seeds_interval`, of the mean over trainings; curves are left
        out.
    """
    mean = _mean(rows)
    figures = {key: value for key, value in mean.items() if key not in COSTS}
    merged: Row = annotate({"explainer": name} | figures, records)
    for metric in figures:
        values = [row[metric] for row in rows]
        merged |= {
            f"{metric}_seeds": values,
            f"{metric}_seeds_interval": list(seeds_interval(values)),
        }
    failed = [failure for row in rows for failure in row["failed"]]
    return merged | {
        **{key: mean[key] for key in COSTS},
        "images": len(records),
        "seeds": len(rows),
        "failed": failed,
    }


def with_seeds(
    rows: Sequence[Row], records: Sequence[Row], seeds: Mapping[str, Sequence[str]]
) -> tuple[list[Row], list[Row]]:
    """Rows and records with those of several trainings as one.

    Args:
        rows: of each training and of other methods.
        records: likewise.
        seeds: by the name of a method, the names of its trainings' rows.

    Returns:
        The rows, a method's in the place of its first training's; and the records, the means of
        methods after those of their trainings.
    """
    by_name = {row["explainer"]: row for row in rows}
    every: list[Row] = list(records)
    for name, members in seeds.items():
        kept = [[one for one in records if one["explainer"] == member] for member in members]
        mean = mean_records(name, kept)
        every += mean
        merged = merge(name, [by_name[member] for member in members], mean)
        by_name[members[0]] = merged
        for member in members[1:]:
            del by_name[member]
    return list(by_name.values()), every


def training_of_all(trainings: Sequence[Training]) -> Training:
    """The mean cost of a training; unknown where one is, or where devices differ."""
    devices = {one.device for one in trainings}
    seconds = [one.seconds for one in trainings if one.seconds is not None]
    if len(devices) > 1 or len(seconds) < len(trainings):
        return Training()
    return Training(fmean(seconds), devices.pop())


def _mean(rows: Sequence[Row]) -> dict[str, Any]:
    """The means of what is a number in all rows."""
    return {
        key: fmean(row[key] for row in rows)
        for key, value in rows[0].items()
        if isinstance(value, float) and all(isinstance(row.get(key), float) for row in rows)
    }
