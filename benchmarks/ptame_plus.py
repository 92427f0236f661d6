"""Ablation of the parts of PTAMEPlus: `python benchmarks/ptame_plus.py --train SHARDS`.

Trains the head of EfficientNet-Lite0 on the photographs of some shards, once for every choice and
seed and with the same number of steps and images, and scores its maps, stretched from minimum to
maximum, for the predicted classes of foolbox's 20 ImageNet photographs, in the classifier's
evaluation crop and whole; with `--objects SHARDS` also of images with the mask of an object, which
`--train` must not show.

Each run is added to `ptame_plus.json` beside this file as soon as it is done, and a run that is
there with the same settings is not made again: with --seeds, several processes share the work.
Prints the mean over the seeds; Grad-CAM and the untrained head, which have no seed, stand above.
"""

import argparse
import json
import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from tqdm import tqdm

from datamodules import ImageDataModule, PhotosDataModule, ShardsDataModule
from explainers import Explainer, FrozenClassifier, PTAMEPlus
from explainers.baselines import CAMBaseline
from explainers.classifier.freed_memory import keep_freed_memory
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.images.normalisation import min_max
from explainers.report.table import table

RESULTS = Path(__file__).parent / "ptame_plus.json"
CONFIDENCE = ("average_drop", "average_increase", "average_gain")
METRICS = {
    "photos": (*CONFIDENCE, "insertion"),
    "whole photos": CONFIDENCE,
    "objects": (*CONFIDENCE, "energy_pointing"),
}
POOLED: dict[str, Any] = {"stages": [-1]}  # as coarse as a class activation map
CHOICES: dict[str, dict[str, Any]] = {
    "as by default, on what is pooled": POOLED,
    "finer maps": {"stages": None},
    "a row a class": POOLED | {"conditioned": False},
    "not from the CAM": POOLED | {"cam_start": False},
    "area weight 0.1": POOLED | {"area_weight": 0.1},
    "area budget 0.25, weight 2": POOLED | {"area_weight": 2.0, "area_budget": 0.25},
    "soft targets": POOLED | {"confidence_weight": 0.0, "agreement_weight": 1.0},
    "two sides": POOLED | {"deletion_weight": 0.5},
    "random fill": POOLED | {"random_fill": True},
}
OWN_MASK = "the object's own mask"
REFINED = (1, 3)  # steps of test-time refinement of the first choice's maps


def results() -> list[dict[str, Any]]:
    """The runs that are done; another process may add some meanwhile."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else []


def score(
    explainer: Explainer, data: dict[str, ImageDataModule], own_mask: bool = False
) -> dict[str, float]:
    """Every metric and the mean of the maps, in percent, on each data set.

    Args:
        explainer: answers with the maps.
        data: by name.
        own_mask: take the mask of each image's object as its map instead, where there is one.
    """
    figures = {}
    for name, module in data.items():
        if own_mask and name != "objects":
            continue
        metrics = METRICS[name]
        board, areas = Scoreboard(metrics, chunk_size=64), []
        for batch in module.test_dataloader():
            images = batch["image"]
            labels = explainer.resolve_target(images, None)
            scores = batch["mask"].float() if own_mask else explainer(images, labels).detach()
            maps = min_max(scores)
            areas.append(maps.mean(dim=(1, 2, 3)))
            mask = batch.get("mask")
            board.update(
                ExplainedBatch(
                    images, labels, scores, maps, explainer.classifier, explainer, mask=mask
                )
            )
        figures[f"{name} area"] = 100 * float(torch.cat(areas).mean())
        figures |= {f"{name} {metric}": value for metric, value in board.compute().items()}
    return figures


def train(explainer: PTAMEPlus, shards: str, steps: int, batch_size: int, seed: int) -> None:
    """Fit without a logger, a checkpoint or a validation."""
    data = ShardsDataModule(
        shards,
        shards,
        shards,
        scale=[0.35, 1.0],
        batch_size=batch_size,
        num_workers=1,
        samples_per_epoch=steps * batch_size,
        seed=seed,
    )
    trainer = Trainer(
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_val_batches=0,
        devices=1,
    )
    trainer.fit(explainer, datamodule=data)


def means(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a choice: the mean of its runs; NaN for what was not measured."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["explainer"], []).append(row["scores"])
    columns = next(iter(grouped.values()))[0]
    return [
        {"explainer": name}
        | {metric: sum(run.get(metric, math.nan) for run in runs) / len(runs) for metric in columns}
        for name, runs in grouped.items()
    ]


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True, help="shards, as ShardsDataModule takes them")
    parser.add_argument("--objects", help="shards with masks")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(CHOICES), choices=list(CHOICES))
    options = parser.parse_args()
    keep_freed_memory()
    warnings.filterwarnings("ignore", module="lightning")
    data: dict[str, ImageDataModule] = {
        "photos": PhotosDataModule(batch_size=20, num_workers=0),
        "whole photos": PhotosDataModule(crop_fraction=1.0, batch_size=20, num_workers=0),
    }
    if options.objects:
        shards = [options.objects] * 3
        data["objects"] = ShardsDataModule(*shards, crop_fraction=1.0, batch_size=20, num_workers=0)
    for module in data.values():
        module.setup("test")

    def run(name: str, seed: int | None, settings: dict[str, Any]) -> None:
        key = {"explainer": name, "seed": seed, "settings": settings}
        if any(key.items() <= row.items() for row in results()):
            return
        seed_everything(seed or 0, verbose=False)
        classifier = FrozenClassifier("package:efficientnet_lite0")
        if name == "Grad-CAM":
            explainer: Explainer = CAMBaseline(classifier)
        else:
            explainer = PTAMEPlus(classifier, **settings["options"])
            if seed is not None:
                train(explainer, options.train, options.steps, options.batch_size, seed)
        add(key, explainer.eval())
        if settings.get("options") == POOLED:
            for steps in REFINED:
                explainer.refinement_steps = steps  # type: ignore[assignment]
                add(key | {"explainer": f"{name}, {steps} steps of refinement"}, explainer)

    def add(key: dict[str, Any], explainer: Explainer) -> None:
        row = key | {"scores": score(explainer, data, key["explainer"] == OWN_MASK)}
        RESULTS.write_text(json.dumps([*results(), row], indent=2) + "\n")

    run("Grad-CAM", None, {"data": list(data)})
    if options.objects:
        run(OWN_MASK, None, {"data": list(data), "options": {}})
    run("untrained", None, {"data": list(data), "options": POOLED})
    for seed in tqdm(options.seeds, unit="seed"):
        for name in tqdm(options.only, unit="choice", leave=False):
            settings = {
                "data": list(data),
                "options": CHOICES[name],
                "steps": options.steps,
                "batch_size": options.batch_size,
                "train": Path(options.train).name,
            }
            run(name, seed, settings)
    print(table(means(results())))


if __name__ == "__main__":
    main()
