"""Paired differences between two methods on the same images, with bootstrap intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from explainers.evaluation.bootstrap import bootstrap_interval
from explainers.evaluation.records import Row, means_of_groups


class Difference(NamedTuple):
    """The mean difference of a metric between two methods.

    Attributes:
        mean: of the first method's value less the second's, over the images that both have one of.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        images: number of images.
    """

    mean: float
    low: float
    high: float
    images: int

    @property
    def beyond_chance(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0 or self.high < 0


def paired_difference(
    records: Sequence[Row], first: str, second: str, metric: str
) -> Difference | None:
    """The difference of a metric between two methods; None where no image has both values.

    Images that share a `group` are resampled together.

    Args:
        records: one an image and method.
        first: name of a method.
        second: likewise.
        metric: that has a value an image.
    """
    ours, theirs = (
        {record["key"]: record for record in records if record["explainer"] == name}
        for name in (first, second)
    )
    both = [
        (ours[key], ours[key][metric] - theirs[key][metric])
        for key in sorted(ours.keys() & theirs.keys())
        if metric in ours[key] and metric in theirs[key]
    ]
    both = [(record, value) for record, value in both if not math.isnan(value)]
    if not both:
        return None
    values = torch.tensor([value for _, value in both], dtype=torch.float64)
    values = means_of_groups(values, [record for record, _ in both])
    low, high = bootstrap_interval(values)
    return Difference(float(values.mean()), low, high, len(both))


def differences_to(
    baseline: str, rows: Sequence[Row], records: Sequence[Row], metrics: Sequence[str]
) -> list[Row]:
    """The differences of every other row to one of them, as plain values.

    Returns:
        A row each: `explainer` and, by metric, `difference`, `interval` and `beyond_chance`.
    """
    found = []
    for row in rows:
        if row["explainer"] == baseline:
            continue
        entry: Row = {"explainer": row["explainer"]}
        for metric in metrics:
            one = paired_difference(records, row["explainer"], baseline, metric)
            if one is not None:
                entry[metric] = {
                    "difference": one.mean,
                    "interval": [one.low, one.high],
                    "beyond_chance": one.beyond_chance,
                }
        found.append(entry)
    return found
