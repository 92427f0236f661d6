"""Time saved by `keep_freed_memory` on the CPU: `python benchmarks/allocator.py`.

Times EfficientNet-Lite0 (random weights) on 20 images of 224 x 224, forward alone and with the
gradient of the images, in processes with and without it, in turns. Prints the ratio of the
medians and writes it to `allocator.json` beside this file.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from explainers import FrozenClassifier
from explainers.classifier.freed_memory import keep_freed_memory

TURNS = 3


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall-clock time of a call, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def measure() -> dict[str, float]:
    """Seconds of a pass, and of a pass with the images' gradient."""
    classifier = FrozenClassifier("tf_efficientnet_lite0", pretrained=False)
    images = torch.rand(20, 3, 224, 224)

    def forward() -> None:
        with torch.no_grad():
            classifier(images)

    def gradient() -> None:
        shown = images.clone().requires_grad_()
        classifier(shown).sum().backward()

    return {"forward": seconds(forward), "forward and backward": seconds(gradient)}


def main() -> None:
    """Measure both in turns, each in a process of its own."""
    runs: dict[str, list[dict[str, float]]] = {"returned": [], "kept": []}
    for _ in range(TURNS):
        for name, run in runs.items():
            output = subprocess.run(
                [sys.executable, __file__, name], check=True, capture_output=True, text=True
            )
            run.append(json.loads(output.stdout))
    result: dict[str, object] = {"threads": torch.get_num_threads()}
    for work in runs["kept"][0]:
        median = {n: statistics.median(turn[work] for turn in run) for n, run in runs.items()}
        result[work] = {"kept over returned": median["kept"] / median["returned"]} | median
    (Path(__file__).parent / "allocator.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        if sys.argv[1] == "kept":
            keep_freed_memory()
        print(json.dumps(measure()))
