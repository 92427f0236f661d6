"""Cost of a training step of P-TAME: `python benchmarks/training.py [--batch 16] [--steps 12]`.

Random weights and images, which take as long as real ones; ResNet-50 with ResNet-18 as auxiliary,
1000 classes, at 224 pixels. Each way trains in a process of its own, and all of them take a step in
turns: ratios are medians over the turns, because the speed of a shared machine varies. Memory is a
process's peak, less what it held before its first step.

- floor: the passes alone: auxiliary and classifier without gradients, the head and its optimiser,
  and a forward and backward pass of the classifier on the masked images;
- ours: `PTAME` in Lightning's trainer, with what it logs;
- folded: the same with `fold_batch_norm: true` of classifier and auxiliary;
- cached: that on images that are in a `FeatureCache`;
- literal: the step as the paper describes it: features enlarged and concatenated, maps of all
  classes, the whole images classified with a graph, and gradients of the classifier's weights too;
- published: that in torch's default memory layout.

Predicted: folding saves 5 to 9 % of the passes; the cache saves the first passes of classifier and
auxiliary, 1.6 of 4.0 s, so a step takes 0.6. Prints the ratios and writes them to `training.json`
beside this file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from processes import memory
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm
from training_steps import build, floor, literal

from explainers import PTAME
from explainers.callbacks import FeatureCache
from explainers.classifier.freed_memory import keep_freed_memory

REST = 0.5  # seconds, until the threads of the step before sleep
WAYS = ("floor", "ours", "folded", "cached", "literal", "published")


class Turns(Callback):
    """Lets each step of a fit's last epoch wait for its turn."""

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401
        """Wait, and start the clock."""
        self.started = None
        if trainer.current_epoch == trainer.max_epochs - 1:
            sys.stdin.readline()
            self.started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401
        """Tell how long it took."""
        if self.started is not None:
            say(seconds=time.perf_counter() - self.started)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401
        """Tell that the next step is one that counts."""
        if trainer.current_epoch == trainer.max_epochs - 1:
            say(ready=True)


def trained(explainer: PTAME, batches: list[Tensor], epochs: int, *more: Callback) -> None:
    """Fit; the steps of the last epoch take turns."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[*more, Turns()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    samples = [{"image": image} for batch in batches for image in batch]
    trainer.fit(explainer, DataLoader(samples, batch_size=len(batches[0])))


def timed(step: Callable[[Tensor], None], batches: list[Tensor]) -> None:
    """Take the steps, each in its turn."""
    say(ready=True)
    for images in batches:
        sys.stdin.readline()
        started = time.perf_counter()
        step(images)
        say(seconds=time.perf_counter() - started)


def say(**values: float) -> None:
    """Tell the process that measures."""
    print(json.dumps(values), flush=True)


def take_part(way: str, options: argparse.Namespace) -> None:
    """Train one way, in this process."""
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    explainer = build(options.classifier, options.auxiliary, fold=way in ("folded", "cached"))
    batches = [torch.rand(options.batch, 3, 224, 224) for _ in range(options.steps + 1)]
    before = memory()
    if way in ("ours", "folded"):
        trained(explainer, batches, epochs=1)
    elif way == "cached":
        with tempfile.TemporaryDirectory() as folder:
            trained(explainer, batches, 2, FeatureCache(folder))
    else:
        layout = torch.contiguous_format if way == "published" else torch.channels_last
        timed(
            floor(explainer.train()) if way == "floor" else literal(explainer.train(), layout),
            batches,
        )
    say(gib=memory() - before)


def heard(process: subprocess.Popen[str], what: str) -> float:
    """The next figure of that name that a process tells."""
    for line in process.stdout or ():
        if line.startswith("{"):
            return float(json.loads(line)[what])
    raise RuntimeError(f"a process ended with exit code {process.wait()} before it told {what}")


def measure(arguments: list[str], steps: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each way's steps, the first left out, and the memory of each."""
    processes = {}
    for way in tqdm(WAYS, desc="getting ready"):
        command = [sys.executable, __file__, *arguments, "--way", way]
        pipe = subprocess.PIPE
        processes[way] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        heard(processes[way], "ready")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in tqdm(range(steps + 1), desc="turns"):
        for way, process in processes.items():
            time.sleep(REST)
            print(file=process.stdin, flush=True)
            seconds[way].append(heard(process, "seconds"))
    gib = {way: heard(process, "gib") for way, process in processes.items()}
    return {way: taken[1:] for way, taken in seconds.items()}, gib


def main() -> None:
    """Measure each way in turns, or be one of them."""
    parser = argparse.ArgumentParser(description="time a training step against its passes")
    parser.add_argument("--classifier", default="resnet50")
    parser.add_argument("--auxiliary", default="resnet18")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        keep_freed_memory()
        take_part(options.way, options)
        return
    seconds, gib = measure(sys.argv[1:], options.steps)

    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))

    settings = {name: value for name, value in vars(options).items() if name != "way"}
    result = settings | {
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "ours_over_floor": ratio("ours", "floor"),
        "folded_over_floor": ratio("folded", "floor"),
        "cached_over_floor": ratio("cached", "floor"),
        "cached_over_folded": ratio("cached", "folded"),
        "literal_over_ours": ratio("literal", "ours"),
        "literal_over_folded": ratio("literal", "folded"),
        "literal_over_cached": ratio("literal", "cached"),
        "published_over_ours": ratio("published", "ours"),
        "published_over_folded": ratio("published", "folded"),
        "memory_of_ours_over_literal": gib["ours"] / gib["literal"],
        "memory_of_folded_over_literal": gib["folded"] / gib["literal"],
        "memory_of_cached_over_literal": gib["cached"] / gib["literal"],
        "seconds": seconds,
        "gib": gib,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(
        json.dumps({name: value for name, value in result.items() if name != "seconds"}, indent=2)
    )


if __name__ == "__main__":
    main()
