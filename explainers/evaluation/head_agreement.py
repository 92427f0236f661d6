"""Retrained randomisation: whether heads of a classifier and of its randomised copy agree."""

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.evaluation.records import Row, annotate
from explainers.metrics.parts.map_similarity import spearman, ssim

SIMILARITIES = {"ssim": ssim, "rank_correlation": spearman}
"""Similarities of two maps in [-1, 1], by the key of a record."""

RULE = (
    "pass if the upper end of the 95 % interval of the mean SSIM and that of the mean rank "
    "correlation both lie below the bound"
)


def similarity_records(first: Tensor, second: Tensor, parts: Row) -> list[Row]:
    """A record an image, with the similarities of its two maps; NaN where one map is constant.

    Args:
        first: maps (b 1 h w).
        second: likewise.
        parts: `key` and other lists of b values by name, for the records.

    Raises:
        InputError: the maps are too small for SSIM.
    """
    values = {name: measure(first, second).tolist() for name, measure in SIMILARITIES.items()}
    columns = {name: list(part) for name, part in parts.items()} | values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def agreement(records: Sequence[Row]) -> Row:
    """Mean similarities of maps with their 95 % bootstrap intervals over images.

    Returns:
        `ssim`, `rank_correlation`, `ssim_interval`, `rank_correlation_interval`, `images` and,
        where there are any, `undefined`, the number of images without a value by similarity.
    """
    means = {
        name: float(torch.tensor([record[name] for record in records]).nanmean())
        for name in SIMILARITIES
    }
    return annotate(means, records) | {"images": len(records)}


def passes(row: Row, bound: float) -> bool:
    """Whether an `agreement` is below a bound by `RULE`; not where it has no value.

    Unrelated maps of a centred object reach 0.2 to 0.4 in SSIM, as they are alike smooth; at a rank
    correlation of 0.5, two maps have a quarter of the variance of their ranks in common.
    """
    return all(row[f"{name}_interval"][1] < bound for name in SIMILARITIES)
