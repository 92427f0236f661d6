"""What the metrics cost beyond the classifier's passes: `python benchmarks/metrics.py`.

Scores one map of each of foolbox's 20 ImageNet photographs (224 x 224) for EfficientNet-Lite0 on
every metric that shows the classifier perturbed images, and times, in the same run:

- bare: the classifier on as many images as the whole set shows it, in the same batches;
- together: the whole set in one scoreboard, which shows each perturbation once;
- alone: one scoreboard a metric.

Prints the ratios and writes them to `metrics.json` beside this file.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from datamodules import PhotosDataModule
from explainers import FrozenClassifier
from explainers.scoring import Case, Scoreboard
from explainers.trivial import centre_gaussian

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
)
CHUNK_SIZE = 20


class Counting:
    """A classifier that counts the images it is shown."""

    def __init__(self, classifier: FrozenClassifier) -> None:
        self.classifier = classifier
        self.shown = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) to logits (b classes)."""
        self.shown += len(images)
        logits: Tensor = self.classifier(images)
        return logits


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    data = PhotosDataModule(batch_size=20, num_workers=0)
    data.setup("test")
    images = next(iter(data.test_dataloader()))["image"]
    classifier = FrozenClassifier("package:efficientnet_lite0")
    counting = Counting(classifier)
    with torch.no_grad():
        labels = classifier(images).argmax(dim=1)
    maps = centre_gaussian(images).contiguous()
    case = Case(images, labels, maps, maps, counting, lambda images, labels: images[:, :1])  # type: ignore[arg-type]

    together = seconds(lambda: Scoreboard(NAMES, CHUNK_SIZE).update(case))
    shown = counting.shown

    def bare() -> None:
        with torch.no_grad():
            for _ in range(shown // CHUNK_SIZE):
                classifier(images)

    floor = seconds(bare)
    each = {
        name: seconds(lambda n=name: Scoreboard([n], CHUNK_SIZE).update(case)) for name in NAMES
    }
    result = {
        "images": len(images),
        "shown": shown,
        "threads": torch.get_num_threads(),
        "bare_seconds": floor,
        "together_over_bare": together / floor,
        "alone_over_together": sum(each.values()) / together,
        "seconds_alone": each,
    }
    (Path(__file__).parent / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
