"""Agreement of maps with exact Shapley values of 3 x 3 patches, for the methods of a comparison."""

import json
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from scenes.exact_shapley import exact
from scenes.folders import folder_of
from torch import Tensor
from tqdm import tqdm

from explainers.evaluation.comparison import Comparison

CELLS = 3


def agreements(comparison: Comparison, count: int, folder: Path) -> dict[str, float]:
    """Mean Pearson correlation over patches by row, of the first `count` images; kept in a folder.

    Scores are averaged over each patch; a map that is the same on all has no correlation, and
    counts as 0. Several trainings of one row count as their mean.
    """
    protocol = comparison.protocol
    path = (
        folder_of(folder, "shapley", [protocol["data"], protocol["classifier"], count]) / "r.json"
    )
    kept: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    keys = {  # by the weights and settings of each
        name: json.dumps([name, protocol["explainers"].get(name)], default=str)
        for name in comparison.methods
    }
    if missing := [name for name, key in keys.items() if key not in kept]:
        images, target = _first(comparison, count)
        values = exact(comparison.evaluator.classifier, images, target, CELLS)
        for name in tqdm(missing, desc="Shapley values", unit="method"):
            scores = comparison.methods[name](images, target).detach()
            kept[keys[name]] = _correlation(F.adaptive_avg_pool2d(scores, CELLS)[:, 0], values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept, indent=2) + "\n")
    found = {name: kept[key] for name, key in keys.items()}
    merged = {
        name: fmean(found[member] for member in members)
        for name, members in comparison.seeds.items()
    }
    return found | merged


@torch.no_grad()
def _first(comparison: Comparison, count: int) -> tuple[Tensor, Tensor]:
    """Images and their classes: those that batches ask for, or else the predicted ones."""
    classifier = comparison.evaluator.classifier
    images, target = [], []
    for batch in comparison.batches:
        images.append(batch["image"])
        known = batch.get("target")
        target.append(classifier(batch["image"]).argmax(dim=1) if known is None else known)
        if sum(map(len, images)) >= count:
            break
    return torch.cat(images)[:count], torch.cat(target)[:count]


def _correlation(maps: Tensor, values: Tensor) -> float:
    """Mean correlation of maps (b r c) with values (b r c) over their places."""
    pairs = zip(maps.flatten(1), values.flatten(1), strict=True)
    found = [float(torch.corrcoef(torch.stack(pair))[0, 1].nan_to_num()) for pair in pairs]
    return fmean(found)
