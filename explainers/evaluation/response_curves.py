"""Mean curves: how a classifier's response changes with the share of the pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.evaluation.bootstrap import bootstrap_band
from explainers.evaluation.records import Row


def curves_of(
    responses: Mapping[str, Sequence[tuple[int, Tensor]]], records: Sequence[Row]
) -> dict[str, dict[str, list[float]]]:
    """The mean curve of each metric, and its 95 % bootstrap interval at each point.

    Args:
        responses: by metric, pairs of the number of a record and the responses (n) at evenly
            spaced shares of the image's pixels, from none to all.
        records: a row an image; those that share a `group` are resampled together.

    Returns:
        By metric, lists of equal length: `share` in [0, 1], `mean`, `low` and `high`.
    """
    found = {}
    for name, pairs in responses.items():
        whole = [(number, values) for number, values in pairs if not values.isnan().any()]
        if whole:
            groups = [records[number].get("group", number) for number, _ in whole]
            found[name] = _mean(_of_one_length([values for _, values in whole]), groups)
    return found


def _of_one_length(curves: Sequence[Tensor]) -> Tensor:
    """Curves (n) of images of different sizes, at the points of the one that has most (b n)."""
    most = max(len(values) for values in curves)
    return torch.stack(
        [
            F.interpolate(
                values.double()[None, None], most, mode="linear", align_corners=True
            ).flatten()
            for values in curves
        ]
    )


def _mean(curves: Tensor, groups: Sequence[Any]) -> dict[str, list[float]]:
    members: dict[Any, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    of_groups = torch.stack([curves[indices].mean(dim=0) for indices in members.values()])
    low, high = bootstrap_band(of_groups)
    share = torch.linspace(0, 1, curves.shape[1], dtype=torch.float64)
    columns = {"share": share, "mean": curves.mean(dim=0), "low": low, "high": high}
    return {
        name: [round(value, 5) for value in column.tolist()] for name, column in columns.items()
    }
