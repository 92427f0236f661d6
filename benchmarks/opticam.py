"""Cost of Opti-CAM beyond its passes: `python benchmarks/opticam.py [--model NAME …]`.

Explains random images with random weights, which take as long as trained ones, and times in the
same run, the fastest of a few repetitions each:

- floor: steps + 1 forward passes and, of all but the first, a backward pass to the images;
- together: `OptiCAM` on the whole batch;
- folded: the same with batch norms folded (`fold_batch_norm: true`);
- loop: the same one image at a time, with the gradients of all weights;
- loop_twice: that, and after each step a second pass with a graph, for the best mask;
- published: that, in torch's default memory layout, as in the code that the authors released.

On a CPU the time is processor time, which depends little on other processes: run it with
OMP_NUM_THREADS=1, as waiting threads count too. Prints the ratios and writes them to
`opticam.json` beside this file.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import seconds
from torch import Tensor

from explainers import FrozenClassifier, OptiCAM
from explainers.classifier.freed_memory import keep_freed_memory
from explainers.methods.cam.channel_maps import channel_maps, combine, min_to_max


def floor(classifier: FrozenClassifier, images: Tensor, labels: Tensor, steps: int) -> None:
    """The passes alone, on normalised images."""
    with torch.no_grad():
        classifier.model(images)
    for _ in range(steps):
        shown = images.detach().requires_grad_()
        logits = classifier.model(shown)
        torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), shown)


def loop(
    classifier: FrozenClassifier,
    images: Tensor,
    labels: Tensor,
    steps: int,
    twice: bool,
    layout: torch.memory_format = torch.channels_last,
) -> None:
    """The method as its text reads, one image at a time."""
    model = classifier.model.requires_grad_(True).to(memory_format=layout)
    for image, label in zip(images, labels, strict=True):
        features = channel_maps(classifier, image[None]).detach()
        u = features.new_zeros(features.shape[:2]).requires_grad_()
        adam = torch.optim.Adam([u], lr=0.1)

        def score(
            image: Tensor = image,
            label: Tensor = label,
            features: Tensor = features,
            u: Tensor = u,
        ) -> Tensor:
            enlarged = F.interpolate(combine(features, u), images.shape[-2:], mode="bilinear")
            masked = classifier.prepare(image * min_to_max(enlarged))
            return model(masked.contiguous(memory_format=layout))[0, label]

        for _ in range(steps):
            adam.zero_grad()
            (-score()).backward()
            adam.step()
            if twice:
                score()
    model.requires_grad_(False).to(memory_format=torch.channels_last)
    for weight in model.parameters():
        weight.grad = None


def measure(name: str, batch: int, steps: int, repetitions: int, device: str) -> dict[str, object]:
    """Time all of them in turn."""
    classifier = FrozenClassifier(name, pretrained=False).to(device)
    explainer = OptiCAM(classifier, steps=steps, chunk_size=batch)
    folded = FrozenClassifier(name, pretrained=False, fold_batch_norm=True).to(device)
    faster = OptiCAM(folded, steps=steps, chunk_size=batch)
    images = torch.rand(batch, 3, *classifier.size, device=device)
    labels = torch.arange(batch, device=device)
    prepared = classifier.prepare(images)
    works: dict[str, Callable[[], object]] = {
        "floor": lambda: floor(classifier, prepared, labels, steps),
        "together": lambda: explainer.attribute(images, labels),
        "folded": lambda: faster.attribute(images, labels),
        "loop": lambda: loop(classifier, images, labels, steps, twice=False),
        "loop_twice": lambda: loop(classifier, images, labels, steps, twice=True),
        "published": lambda: loop(
            classifier, images, labels, steps, twice=True, layout=torch.contiguous_format
        ),
    }
    times: dict[str, list[float]] = {work: [] for work in works}
    explainer.optimise(images[:1], labels[:1])  # the first call of all is the slowest
    for _ in range(repetitions):
        for work, call in works.items():
            times[work].append(seconds(call))
    fastest = {work: min(each) for work, each in times.items()}
    return {
        "model": name,
        "size": list(classifier.size),
        "batch": batch,
        "steps": steps,
        "repetitions": repetitions,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "seconds_per_image": fastest["together"] / batch,
        "together_over_floor": fastest["together"] / fastest["floor"],
        "folded_over_floor": fastest["folded"] / fastest["floor"],
        "loop_over_together": fastest["loop"] / fastest["together"],
        "loop_twice_over_together": fastest["loop_twice"] / fastest["together"],
        "published_over_together": fastest["published"] / fastest["together"],
        "published_over_folded": fastest["published"] / fastest["folded"],
        "seconds": times,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time Opti-CAM against its passes")
    parser.add_argument("--model", nargs="+", default=["resnet18", "tf_efficientnet_lite0"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    results = [
        measure(
            name,
            options.batch,
            options.steps,
            options.repetitions,
            "cuda" if torch.cuda.is_available() else "cpu",
        )
        for name in options.model
    ]
    (Path(__file__).parent / "opticam.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
