"""Mean ranks of methods over metrics, and how much the metrics agree."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from scipy.stats import kendalltau, rankdata

from explainers.evaluation.records import Row


class Ranks(NamedTuple):
    """Ranks of methods.

    Attributes:
        mean: by method, the mean of its ranks over the metrics, 1 the best; ties share their mean.
        agreement: by pair of metrics, Kendall's tau-b of their orders, from -1 to 1; NaN where one
            gives all methods the same score.
        metrics: that were ranked by.
    """

    mean: dict[str, float]
    agreement: dict[tuple[str, str], float]
    metrics: list[str]

    @property
    def mean_agreement(self) -> float:
        """Mean of the pairs' taus; NaN without any."""
        known = [value for value in self.agreement.values() if not math.isnan(value)]
        return fmean(known) if known else math.nan


def rank(rows: Sequence[Row], directions: Mapping[str, bool]) -> Ranks | None:
    """Rank methods by each metric that all of them have a score of; None for fewer than two.

    Args:
        rows: of the methods.
        directions: by metric, whether higher is better.
    """
    metrics = [
        name
        for name in directions
        if all(isinstance(row.get(name), float) and not math.isnan(row[name]) for row in rows)
    ]
    if len(rows) < 2 or not metrics:
        return None
    goodness = {
        name: [row[name] if directions[name] else -row[name] for row in rows] for name in metrics
    }
    ranks = [rankdata([-value for value in goodness[name]]) for name in metrics]
    mean = {
        row["explainer"]: fmean(float(one[index]) for one in ranks)
        for index, row in enumerate(rows)
    }
    agreement = {
        pair: float(kendalltau(goodness[pair[0]], goodness[pair[1]]).statistic)
        for pair in combinations(metrics, 2)
    }
    return Ranks(mean, agreement, metrics)
