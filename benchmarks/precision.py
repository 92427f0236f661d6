"""Effect of rounding on maps and their metrics: `python benchmarks/precision.py`.

The published head of EfficientNet-Lite0 explains the crops of foolbox's 20 photographs in float32,
with folded batch norms, and under autocast in bfloat16. The predicted classes are those of float32,
and the metrics are computed in float32 throughout, as `train.py test` and `explainers compare` do.
With `--objects 'objects-*.tar'`, shards with masks, the metrics of masks are computed on these too.

Prints each metric in each precision, the largest difference of a map's pixel and the mean one, and
writes them to `precision.json` beside this file. Needs the extra `demo`.
"""

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset

from datamodules import ImageDataModule, PhotosDataModule, ShardsDataModule
from explainers import LearnedExplainer, load_explainer
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard

BUNDLE = Path(__file__).parents[1] / "checkpoints/ptame_plus-efficientnet_lite0"
KEPT = ("average_drop", "average_increase", "average_gain")
METRICS = {
    "photos": (
        *(f"{name}{share}" for share in ("", "_50", "_15") for name in KEPT[: 3 - bool(share)]),
        *("insertion", "deletion", "road_morf", "road_lerf", "compactness"),
        "fidelity",
    ),
    "objects": (
        *KEPT,
        *("energy_pointing", "pointing", "box_iou", "pixel_accuracy", "mean_iou"),
        "mean_average_precision",
    ),
}
WAYS = ("float32", "folded", "bfloat16")


def rounding(way: str) -> AbstractContextManager[Any]:
    """The context that the explainer runs in."""
    return torch.autocast("cpu", torch.bfloat16) if way == "bfloat16" else nullcontext()


def score(
    explainer: LearnedExplainer, exact: LearnedExplainer, way: str, name: str, data: ImageDataModule
) -> dict[str, float]:
    """Every metric of the maps in one precision, and how far they are from float32's."""
    board, apart = Scoreboard(METRICS[name], chunk_size=64), []

    def answer(images: Tensor, labels: Tensor) -> Tensor:
        with rounding(way), torch.no_grad():
            return explainer(images, labels)

    for batch in data.test_dataloader():
        images = batch["image"]
        labels = exact.resolve_target(images, None)
        scores = answer(images, labels)
        apart.append((scores - exact(images, labels).detach()).abs().flatten())
        maps = explainer.to_maps(scores)
        mask = batch.get("mask")
        board.update(
            ExplainedBatch(images, labels, scores, maps, exact.classifier, answer, mask=mask)
        )
    differences = torch.cat(apart)
    return board.compute() | {
        "largest_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="effect of rounding on maps and their metrics")
    parser.add_argument("--objects", help="shards with masks")
    parser.add_argument("--images", type=int, help="of each data set; by default all")
    options = parser.parse_args()
    data: dict[str, ImageDataModule] = {
        "photos": PhotosDataModule(crop_fraction=0.875, batch_size=20, num_workers=0)
    }
    if options.objects:
        shards = [options.objects] * 3
        data["objects"] = ShardsDataModule(*shards, crop_fraction=1.0, batch_size=20, num_workers=0)
    exact = load_explainer(BUNDLE)
    source = {"model": "package:efficientnet_lite0", "fold_batch_norm": True}
    folded = load_explainer(BUNDLE, classifier=source)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, module in data.items():
        module.setup("test")
        if options.images:
            module.test_set = Subset(module.test_set, range(options.images))
        result[name] = {
            way: score(folded if way == "folded" else exact, exact, way, name, module)
            for way in WAYS
        }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    for name, ways in result.items():
        print(f"\n{name:24}" + "".join(f"{way:>12}" for way in WAYS))
        for metric in ways["float32"]:
            print(f"{metric:24}" + "".join(f"{ways[way][metric]:12.4f}" for way in WAYS))


if __name__ == "__main__":
    main()
