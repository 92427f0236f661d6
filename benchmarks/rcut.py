"""Cost of R-Cut beyond its passes: `python benchmarks/rcut.py [--channels N --images N]`.

Explains random images with a ViT-Ti/16 of random weights, which take as long as trained ones, and
times in the same run, the shortest of several repeats each, in turns:

- passes: as many plain forward passes as there are channels and images, in the same chunks;
- weighing: the weights of the channels, that is the same number of masked passes;
- cut: graph, eigenvectors and signs, for random tokens of which a third are alike;
- whole: `RCut` from images to maps.

On a CPU the time is processor time, which depends little on other processes: run it with
OMP_NUM_THREADS=1, as waiting threads count too. Prints the ratios and writes them to `rcut.json`
beside this file.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from timing import seconds

from explainers import FrozenClassifier, RCut
from explainers.methods.vit.normalised_cut import affinities, cut, seed_positive


@torch.no_grad()
def measure(
    channels: int, count: int, chunk_size: int, repeats: int, device: str
) -> dict[str, object]:
    """Time all in turns."""
    classifier = FrozenClassifier("vit_tiny_patch16_224", pretrained=False).to(device)
    explainer = RCut(classifier, channels=channels, chunk_size=chunk_size).to(device)
    images = torch.rand(count, 3, 224, 224, device=device)
    labels = torch.arange(count, device=device)
    last = explainer.transformer.last_block(images)
    chunks = torch.rand(count * channels, 3, 224, 224, device=device).split(chunk_size)
    width = classifier.model.embed_dim
    tokens = torch.randn(count, 196, 8, device=device) @ torch.randn(8, width, device=device)

    works: dict[str, Callable[[], object]] = {
        "passes": lambda: [classifier(chunk) for chunk in chunks],
        "weighing": lambda: explainer._weights(last, images, labels),
        "cut": lambda: seed_positive(cut(affinities(tokens, explainer.tau)).vectors),
        "whole": lambda: explainer(images, labels),
    }
    times: dict[str, list[float]] = {work: [] for work in works}
    classifier(chunks[0])  # the first call of all is the slowest
    for _ in range(repeats):
        for work, call in works.items():
            times[work].append(seconds(call))
    shortest = {work: min(each) for work, each in times.items()}
    return {
        "model": classifier.name,
        "images": count,
        "channels": channels,
        "chunk_size": chunk_size,
        "repeats": repeats,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "weighing_over_passes": shortest["weighing"] / shortest["passes"],
        "whole_over_passes": shortest["whole"] / shortest["passes"],
        "cut_over_whole": shortest["cut"] / shortest["whole"],
        "seconds": times,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time R-Cut against its passes")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--chunk-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    result = measure(
        options.channels,
        options.images,
        options.chunk_size,
        options.repeats,
        "cuda" if torch.cuda.is_available() else "cpu",
    )
    (Path(__file__).parent / "rcut.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
