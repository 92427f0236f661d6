"""Agreement of maps with exact Shapley values of 3 x 3 patches, for the methods of a comparison."""

import json
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from scenes.exact_shapley import exact
from torch import Tensor
from tqdm import tqdm

from explainers.evaluation.comparison import Comparison

CELLS = 3


def agreements(comparison: Comparison, count: int, path: Path) -> dict[str, float]:
    """Mean Pearson correlation over patches by row, of the first `count` images; kept in a file.

    Scores are averaged over each patch; a map that is the same on all has no correlation, and
    counts as 0. Several trainings of one row count as their mean.
    """
    kept: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    images, target = _first(comparison, count)
    missing = [name for name in comparison.methods if name not in kept]
    if missing:
        values = exact(comparison.evaluator.classifier, images, target, CELLS)
        for name in tqdm(missing, desc="Shapley values", unit="method"):
            scores = comparison.methods[name](images, target).detach()
            kept[name] = _correlation(F.adaptive_avg_pool2d(scores, CELLS)[:, 0], values)
        path.write_text(json.dumps(kept, indent=2) + "\n")
    merged = {
        name: fmean(kept[member] for member in members)
        for name, members in comparison.seeds.items()
    }
    return kept | merged


def _first(comparison: Comparison, count: int) -> tuple[Tensor, Tensor]:
    """Images and their classes, as batches ask for them."""
    images, target = [], []
    for batch in comparison.batches:
        images.append(batch["image"])
        target.append(batch["target"])
        if sum(map(len, images)) >= count:
            break
    return torch.cat(images)[:count], torch.cat(target)[:count]


def _correlation(maps: Tensor, values: Tensor) -> float:
    """Mean correlation of maps (b r c) with values (b r c) over their places."""
    pairs = zip(maps.flatten(1), values.flatten(1), strict=True)
    found = [float(torch.corrcoef(torch.stack(pair))[0, 1].nan_to_num()) for pair in pairs]
    return fmean(found)
