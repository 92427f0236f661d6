"""Cost of the metrics beyond the classifier's passes: `python benchmarks/metrics.py`.

Scores one map of each of foolbox's 20 ImageNet photographs (224 x 224) for EfficientNet-Lite0 on
every metric of perturbed images, on those of EVAL-X by a judge of the same network, on the metrics
of a mask (a quarter of the image), and on five metrics under two other fills. Times, in the same
run:

- bare: the classifier on as many images as the whole set needs, in the same batches;
- together: the whole set in one scoreboard, with one pass for each perturbation;
- alone: one scoreboard a metric;
- the averaged ROAD of the package grad-cam (both ends, 9 shares) against `road_morf_probability`
  and `road_lerf_probability` together: the same maps, shares and number of passes;
- Captum's infidelity over 100 squares an image against `box_sensitivity`, which also removes 100
  squares an image and correlates the map with the loss of score.

Needs `pip install -e ".[dev]"`. Prints the ratios and writes them to `metrics.json` beside this
file.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from captum.metrics import infidelity
from pytorch_grad_cam.metrics.road import (
    ROADLeastRelevantFirstAverage,
    ROADMostRelevantFirstAverage,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from datamodules import PhotosDataModule
from explainers import FrozenClassifier
from explainers.classifier.freed_memory import keep_freed_memory
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.metric_fills import under_fills
from explainers.evaluation.scoreboard import Scoreboard
from explainers.evaluation.uninformative import centre_gaussian
from explainers.metrics.box_sensitivity import Boxes

NAMES = (
    "average_drop",
    "average_drop_50",
    "average_drop_15",
    "average_increase",
    "average_increase_50",
    "average_increase_15",
    "average_gain",
    "insertion",
    "deletion",
    "road_morf",
    "road_lerf",
    "road_morf_probability",
    "road_lerf_probability",
    "fidelity",
    "box_sensitivity",
    "evalx_accuracy_5",
    "evalx_accuracy_15",
    "evalx_accuracy_50",
    "evalx_probability_5",
    "evalx_probability_15",
    "evalx_probability_50",
    "energy_pointing",
    "grid_pointing",
    "pointing",
    "box_iou",
    "max_box_accuracy",
    "compactness",
)
FILLED = ("average_drop", "average_increase", "average_gain", "insertion", "deletion")
FILLS = ("mean", "blur")
CHUNK_SIZE = 20


class Counting(nn.Module):
    """A classifier that counts the images it is shown."""

    def __init__(self, classifier: FrozenClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.shown = 0

    def forward(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) to logits (b classes)."""
        self.shown += len(images)
        logits: Tensor = self.classifier(images)
        return logits


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def road_of_grad_cam(classifier: nn.Module, images: Tensor, maps: Tensor, labels: Tensor) -> None:
    """Score maps as grad-cam does: its own imputer, one image and one share after the other."""
    targets = [ClassifierOutputSoftmaxTarget(label) for label in labels.tolist()]
    for metric in (ROADMostRelevantFirstAverage(), ROADLeastRelevantFirstAverage()):
        metric(images, maps[:, 0].numpy(), targets, classifier)


def infidelity_of_captum(
    classifier: nn.Module, images: Tensor, maps: Tensor, labels: Tensor
) -> None:
    """Score maps as Captum does, over the same squares as `box_sensitivity`."""
    squares = Boxes().squares(images).to(images)

    def remove(shown: Tensor) -> tuple[Tensor, Tensor]:
        """Take a square from each of the images, which come in repeats of the same one."""
        removed = squares[torch.arange(len(shown)) % len(squares)] * shown
        return removed, shown - removed

    infidelity(
        classifier,
        remove,
        images,
        maps.expand_as(images),
        target=labels,
        n_perturb_samples=len(squares),
        max_examples_per_batch=CHUNK_SIZE,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time the metrics against the classifier's passes")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="of the whole set and bare passes")
    options = parser.parse_args()
    keep_freed_memory()  # as `train.py test` and `explainers compare` do
    data = PhotosDataModule(batch_size=20, num_workers=0)
    data.setup("test")
    images = next(iter(data.test_dataloader()))["image"][: options.images]
    classifier = FrozenClassifier("package:efficientnet_lite0")
    counting = Counting(classifier)
    with torch.no_grad():
        labels = classifier(images).argmax(dim=1)
    maps = centre_gaussian(images).contiguous()
    mask = torch.zeros_like(maps, dtype=torch.bool)
    mask[..., : images.shape[-2] // 2, : images.shape[-1] // 2] = True
    explained = ExplainedBatch(
        images=images,
        labels=labels,
        scores=maps,
        maps=maps,
        classifier=counting,  # type: ignore[arg-type]  only called
        explain=lambda images, labels: images[:, :1],
        mask=mask,
        judge=counting,
    )

    def score(*names: str) -> float:
        return seconds(lambda: Scoreboard(names, CHUNK_SIZE).update(explained))

    @torch.no_grad()
    def bare(shown: int) -> float:
        return seconds(lambda: [classifier(images) for _ in range(shown // len(images))])

    names = [*NAMES, *under_fills(FILLED, FILLS)]
    score("average_drop")  # warms up
    counting.shown = 0
    together = [score(*names)]
    shown = counting.shown
    floor = [bare(shown)]
    for _ in range(options.repeats - 1):
        together.append(score(*names))
        floor.append(bare(shown))
    each = {name: score(name) for name in names}

    with torch.no_grad():
        road = seconds(lambda: road_of_grad_cam(counting, images, maps, labels))
        boxes = seconds(lambda: infidelity_of_captum(counting, images, maps, labels))
    ours = score("road_morf_probability", "road_lerf_probability")
    result = {
        "images": len(images),
        "metrics": len(names),
        "shown": shown,
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "bare_seconds": min(floor),
        "together_over_bare": min(together) / min(floor),
        "alone_over_together": sum(each.values()) / min(together),
        "grad_cam_road_over_ours": road / ours,
        "captum_infidelity_over_box_sensitivity": boxes / each["box_sensitivity"],
        "seconds_alone": each | {"road of grad-cam": road, "infidelity of captum": boxes},
    }
    (Path(__file__).parent / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
