"""Average gain of Opti-CAM against the area of its masks: `python benchmarks/opticam_area.py`.

Explains the classes that EfficientNet-Lite0 predicts for foolbox's ImageNet photographs as they are
stored (224 x 224), at several weights of the mask's area. Compare rows of one table only: few
photographs make the figures of all rows high or low together.

Prints a row each, and writes them to `opticam_area.json` beside this file.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from datamodules import PhotosDataModule
from explainers import Explainer, FrozenClassifier, OptiCAM
from explainers.baselines import CAMBaseline
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.report.table import table

METRICS = ("average_drop", "average_increase", "average_gain", "insertion")
CHOICES: list[dict[str, Any]] = [
    {},
    {"area_weight": 5.0},
    {"area_weight": 20.0},
    {"selector": "log_probability"},
]


def measure(
    explainer: Explainer, batches: list[dict[str, Any]], metrics: list[str]
) -> dict[str, float]:
    """The metrics, and the mean of the maps in percent."""
    scores = Scoreboard(metrics, chunk_size=32)
    areas = []
    for batch in batches:
        images = batch["image"]
        labels = explainer.resolve_target(images, None)
        raw = explainer(images, labels).detach()
        maps = explainer.to_maps(raw)
        scores.update(ExplainedBatch(images, labels, raw, maps, explainer.classifier, explainer))
        areas.append(maps.mean(dim=(1, 2, 3)))
    return {"mean_area": 100 * float(torch.cat(areas).mean())} | scores.compute()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="average gain against mean mask area")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=list(METRICS))
    options = parser.parse_args()
    data = PhotosDataModule(crop_fraction=1.0, batch_size=10, num_workers=0)
    data.setup("test")
    data.test_set = torch.utils.data.Subset(data.test_set, range(options.images))
    batches = list(data.test_dataloader())
    classifier = FrozenClassifier("package:efficientnet_lite0")
    rows: list[dict[str, Any]] = [
        {"explainer": "Grad-CAM"} | measure(CAMBaseline(classifier), batches, options.metrics)
    ]
    for choice in tqdm(CHOICES):
        explainer = OptiCAM(classifier, steps=options.steps, **choice)
        name = ", ".join(f"{key} {value}" for key, value in choice.items()) or "published"
        rows.append({"explainer": name} | measure(explainer, batches, options.metrics))
        result = {"images": options.images, "steps": options.steps, "rows": rows}
        path = Path(__file__).parent / "opticam_area.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
