"""What a training step of P-TAME costs: `python benchmarks/training.py [--batch 16] [--rounds 2]`.

Random weights and images, which take as long as any others; ResNet-50 explained through ResNet-18,
1000 classes, at 224 pixels. Each way trains in a process of its own, in turns, and the fastest step
of all rounds counts, with the most memory that the process ever held, less what it held before its
first step:

- floor: the passes alone, bare: auxiliary and classifier without gradients, the head and its
  optimiser, and the classifier there and back to the masked images;
- ours: `PTAME` in Lightning's trainer, with what it logs;
- folded: the same with `fold_batch_norm: true` of classifier and auxiliary;
- cached: that on images that a `FeatureCache` knows;
- literal: the step as the paper's text reads: features enlarged and concatenated, maps of all
  classes, the whole images classified with a graph, and gradients of the classifier's weights too;
- published: that in torch's default memory layout, which nothing in the text changes.

Prints the ratios and writes them to `training.json` beside this file.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from explainers import PTAME, FrozenClassifier
from explainers.allocator import keep_freed_memory
from explainers.feature_cache import FeatureCache
from explainers.losses import area, variation
from explainers.masking import keep
from explainers.masking_network import enlarge

WAYS = ("floor", "ours", "folded", "cached", "literal", "published")


def memory() -> float:
    """The most that this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def build(classifier: str, auxiliary: str, fold: bool) -> PTAME:
    """The explainer, with the published settings."""
    options = {"pretrained": False, "fold_batch_norm": fold}
    return PTAME({"model": classifier} | options, {"model": auxiliary} | options)


def objective(explainer: PTAME, logits: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    """The published loss of masks (b b _ _)."""
    return (
        explainer.classification_weight * F.cross_entropy(logits, labels)
        + explainer.area_weight * area(masks, explainer.area_power)
        + explainer.variation_weight * variation(masks, explainer.variation_border)
    )


def floor(explainer: PTAME) -> Callable[[Tensor], None]:
    """A step of the passes alone."""
    optimizer = explainer.build_optimizer()
    network, classifier = explainer.network, explainer.classifier

    def step(images: Tensor) -> None:
        with torch.no_grad():
            labels = classifier(images).argmax(dim=1)
            features = network.read(images)
        masks = network.head(features, labels[None]).sigmoid()
        own = masks.diagonal().permute(2, 0, 1)[:, None]
        logits = classifier(keep(images, enlarge(own, images)))
        optimizer.zero_grad()
        objective(explainer, logits, masks, labels).backward()
        optimizer.step()

    return step


def literal(explainer: PTAME, layout: torch.memory_format) -> Callable[[Tensor], None]:
    """A step as the text reads; the head is ours in weights, not in the order of its operations."""
    optimizer = explainer.build_optimizer()
    network, classifier = explainer.network, explainer.classifier
    head = network.head
    for frozen in (network.backbone, classifier):
        frozen.model.to(memory_format=layout)
        frozen.prepare = partial(prepared, frozen, layout)  # type: ignore[method-assign]
    classifier.model.requires_grad_(True)

    def step(images: Tensor) -> None:
        labels = classifier(images).argmax(dim=1)
        features = network.read(images)
        size = features[0].shape[-2:]
        refined = [
            F.interpolate(branch(maps), size, mode="bilinear")
            for branch, maps in zip(head.branches, features, strict=True)
        ]
        maps = F.conv2d(torch.cat(refined, dim=1), head.fuser.weight[..., None, None])
        masks = maps.sigmoid()[:, labels]  # (b b _ _) of (b classes _ _)
        own = masks.diagonal().permute(2, 0, 1)[:, None]
        logits = classifier(keep(images, enlarge(own, images)))
        optimizer.zero_grad()
        classifier.model.zero_grad()
        objective(explainer, logits, masks, labels).backward()
        optimizer.step()

    return step


def prepared(frozen: FrozenClassifier, layout: torch.memory_format, images: Tensor) -> Tensor:
    """Images as a network takes them, in a memory layout."""
    return ((images - frozen.mean) / frozen.std).contiguous(memory_format=layout)


class Clock(Callback):
    """Seconds of each step of a trainer."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:  # noqa: ANN401
        """Start."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401
        """Stop."""
        self.seconds.append(time.perf_counter() - self.started)


def trained(explainer: PTAME, batches: list[Tensor], epochs: int, *more: Callback) -> list[float]:
    """Seconds of each step of a fit's last epoch."""
    clock = Clock()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[clock, *more],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    samples = [{"image": image} for batch in batches for image in batch]
    trainer.fit(explainer, DataLoader(samples, batch_size=len(batches[0])))
    return clock.seconds[-len(batches) :]


def timed(step: Callable[[Tensor], None], batches: list[Tensor]) -> Iterator[float]:
    """Seconds of each step."""
    for images in batches:
        started = time.perf_counter()
        step(images)
        yield time.perf_counter() - started


def measure(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and memory of one way, in this process."""
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    explainer = build(options.classifier, options.auxiliary, fold=way in ("folded", "cached"))
    batches = [torch.rand(options.batch, 3, 224, 224) for _ in range(options.steps)]
    before = memory()
    if way in ("ours", "folded"):
        seconds = trained(explainer, batches, epochs=1)
    elif way == "cached":
        with tempfile.TemporaryDirectory() as folder:
            seconds = trained(explainer, batches, 2, FeatureCache(folder))
    else:
        layout = torch.contiguous_format if way == "published" else torch.channels_last
        step = floor(explainer.train()) if way == "floor" else literal(explainer.train(), layout)
        seconds = list(timed(step, batches))
    return {"seconds": min(seconds), "gib": memory() - before}


def main() -> None:
    """Measure each way in turns, or one of them in this process."""
    parser = argparse.ArgumentParser(description="time a training step against its passes")
    parser.add_argument("--classifier", default="resnet50")
    parser.add_argument("--auxiliary", default="resnet18")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        keep_freed_memory()
        print(json.dumps(measure(options.way, options)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way].append(json.loads(printed.splitlines()[-1]))
    seconds = {way: min(one["seconds"] for one in runs) for way, runs in found.items()}
    gib = {way: min(one["gib"] for one in runs) for way, runs in found.items()}
    settings = {name: value for name, value in vars(options).items() if name != "way"}
    result = settings | {
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "ours_over_floor": seconds["ours"] / seconds["floor"],
        "folded_over_floor": seconds["folded"] / seconds["floor"],
        "cached_over_folded": seconds["cached"] / seconds["folded"],
        "literal_over_ours": seconds["literal"] / seconds["ours"],
        "literal_over_folded": seconds["literal"] / seconds["folded"],
        "literal_over_cached": seconds["literal"] / seconds["cached"],
        "published_over_folded": seconds["published"] / seconds["folded"],
        "memory_of_ours_over_literal": gib["ours"] / gib["literal"],
        "memory_of_folded_over_literal": gib["folded"] / gib["literal"],
        "seconds": seconds,
        "gib": gib,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
