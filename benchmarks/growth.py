"""Growth of the cost of P-TAME: `python benchmarks/growth.py [--classifier resnet18] [--steps 2]`.

Random weights and images; ResNet-18 with ResNet-18 as auxiliary, 4 images of 224 pixels and 1000
classes, and from there along one axis at a time. A step is one of Lightning's trainer, an inference
one call for a class of each image. Seconds are processor time of one thread, which depends less on
the machine's load than wall-clock time; the fastest of a few counts. Memory is the peak of a
process of its own, less what it held before.

Expected of each axis, and found, on a machine that another training kept busy (`load_average`):

- size. Both in proportion to the pixels: 3.1 times from 128 to 224, and twice from there to 320.
  Found 3.0 and 1.8 times for an inference, and 2.7 and 1.9 for a step; its memory 2.0 and 1.9.
- batch. Both in proportion to the images. Found 0.06 s an image and 0.03 s a call for an inference,
  0.25 s an image and 0.15 s whatever their number for a step, which has four passes.
- classes. An inference does not grow. A step reads the fuser's rows of the batch's classes, but
  their gradient and the optimiser go over all K rows of 960 weights: at 21,000 classes six arrays
  of 77 MiB, some 0.1 s. Found 0.47 GiB, as expected, and 0.14 s. `PTAMEPlus` computes its rows, so
  only the classifier's last layer grows. Found no growth of its memory, and none of its seconds
  beyond their noise, a tenth.
- head. The head alone, forward and backward for one image: masks for one class, and then for all
  K, the cost of a fuser of K maps; at 21,000 classes, 1 GiB of them. Found 2.8 GiB instead of 0.1,
  and 10 s instead of 0.02 s.
- asked. The head and its regularisers for the classes of N processes' batches of 4, since P-TAME
  computes masks for all of them. In proportion to N, so that more processes do not only share the
  images. Found 1.5 ms a class: at N = 64, 0.4 s on top of a step of 1.1 s. It is in proportion to
  the images too: batches of 16 need four times as many classes of four times as many images.
- ranks. Two processes (gloo) against one, with the same batch each: the same seconds each, and 4
  bytes a trained weight all-reduced, with some statistics. Found 14 % more processor time;
  wall-clock time reflects the busy machine. All-reduced are 5.24 MB of gradients and 16 kB of batch
  norms' statistics and logged figures; gathered are the labels, 8 bytes an image. DDP also
  broadcasts all buffers, those of the frozen networks among them: 85 kB.

From these follows a step of N processes with batches of b, if each process computes as it does
alone, collectives go round a ring without waiting, and none of them overlaps the backward pass:

    step(N) = compute + (N - 1) b asked + (2 (N - 1) / N reduced + (N - 1) gathered) / bandwidth

with `asked` the seconds of one more class for b images, `reduced` the all-reduced bytes and
`gathered` those of the labels, 8 b. Prints the tables and writes them to `growth.json` beside this
file.
"""

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from processes import StepMeter, apart, memory, seconds
from torch import Tensor
from torch.utils.data import DataLoader

from explainers import PTAME, LearnedExplainer, PTAMEPlus
from explainers.classifier.freed_memory import keep_freed_memory
from explainers.heads.attention_head import AttentionHead
from explainers.training.losses import area, variation

BASE = {"size": 224, "batch": 4, "classes": 1000}
AXES = {"size": (128, 224, 320), "batch": (1, 4, 16), "classes": (10, 1000, 21_000)}
ASKED = (4, 32, 256)  # the classes of 1, 8 and 64 processes with batches of 4
RANKS = (2, 8, 64)  # that the formula is worked out for
BANDWIDTH = 12.5e9  # bytes a second: a network of 100 Gbit/s
FEATURES = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels and side, of ResNet-18 at 224


def build(
    kind: type[LearnedExplainer], options: argparse.Namespace, classes: int
) -> LearnedExplainer:
    """An explainer of random networks."""
    source = {"pretrained": False, "num_classes": classes}
    if kind is PTAMEPlus:
        masks_alone = {"threshold_weight": 0.0, "mosaics": 0}  # the costs of P-TAME's own objective
        source["model"] = options.classifier
        return PTAMEPlus(source, evidence_width=0, stages=None, **masks_alone)
    auxiliary = {"model": options.auxiliary, "pretrained": False}
    return PTAME(source | {"model": options.classifier}, auxiliary)


def point(
    queue: Any,  # noqa: ANN401  a queue's
    kind: type[LearnedExplainer],
    options: argparse.Namespace,
    at: dict[str, int],
    ranks: int = 1,
) -> None:
    """Measure an inference and a step."""
    torch.manual_seed(0)
    explainer = build(kind, options, at["classes"])
    images = torch.rand(at["batch"], 3, at["size"], at["size"])
    found, before = {}, memory()
    if ranks == 1:
        labels = torch.arange(at["batch"]) % at["classes"]
        with torch.no_grad():
            found["inference"] = seconds(lambda: explainer(images, labels))
        found["inference GiB"] = memory() - before
    trainer = Trainer(
        max_steps=options.steps,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp_fork" if ranks > 1 else "auto",
        callbacks=[StepMeter(queue, found, before)],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    samples = [{"image": image} for _ in range(options.steps * ranks) for image in images]
    trainer.fit(explainer, DataLoader(samples, batch_size=at["batch"]))


def head_alone(queue: Any, classes: int) -> None:  # noqa: ANN401  a queue's
    """Measure P-TAME's head for one image and one class, and then for all classes."""
    head = AttentionHead([channels for channels, _ in FEATURES], classes)
    features = [torch.rand(1, channels, side, side) for channels, side in FEATURES]

    def step(labels: Tensor) -> None:
        head.zero_grad()
        head(features, labels).sigmoid()[:, 0].mean().backward()

    found: dict[str, float] = {}
    before = memory()
    for name, labels in (("one", torch.zeros(1, 1).long()), ("all", torch.arange(classes)[None])):
        found[name] = seconds(lambda labels=labels: step(labels))  # type: ignore[misc]
        found[f"{name} GiB"] = memory() - before
    queue.put(found)


def head_asked(queue: Any, asked: int) -> None:  # noqa: ANN401  a queue's
    """Measure P-TAME's head and its regularisers for four images and so many classes of each."""
    head = AttentionHead([channels for channels, _ in FEATURES], BASE["classes"])
    features = [torch.rand(BASE["batch"], channels, side, side) for channels, side in FEATURES]
    labels = torch.arange(asked)[None]
    before = memory()

    def step() -> None:
        head.zero_grad()
        masks = head(features, labels).sigmoid()
        (area(masks, 0.3) + variation(masks, 0.3)).backward()

    queue.put({"seconds": seconds(step), "GiB": memory() - before})


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All axes, the point that they share once."""
    points: dict[Any, dict[str, float]] = {}

    def at(kind: type[LearnedExplainer], **moved: int) -> dict[str, float]:
        settings = BASE | moved
        key = (kind, *settings.values())
        if key not in points:
            points[key] = apart(point, kind, options, settings)
        return points[key]

    found: dict[str, Any] = {
        axis: {str(value): at(PTAME, **{axis: value}) for value in values}
        for axis, values in AXES.items()
    }
    found["classes of PTAMEPlus"] = {
        str(value): at(PTAMEPlus, classes=value) for value in AXES["classes"]
    }
    found["head"] = {str(value): apart(head_alone, value) for value in AXES["classes"]}
    found["asked"] = {str(value): apart(head_asked, value) for value in ASKED}
    two = apart(point, PTAME, options, BASE, 2)
    found["ranks"] = {"1": at(PTAME), "2": two}
    least, most = found["asked"][str(ASKED[0])], found["asked"][str(ASKED[-1])]
    asked = (most["seconds"] - least["seconds"]) / (ASKED[-1] - ASKED[0])
    found["a step of N"] = {
        str(count): {
            "more classes": (count - 1) * BASE["batch"] * asked,
            "collectives": (
                2 * (count - 1) / count * two["all_reduce bytes"]
                + (count - 1) * two["all_gather bytes"]
            )
            / BANDWIDTH,
        }
        for count in RANKS
    }
    return found


def tables(found: dict[str, Any]) -> Iterator[str]:
    """A table an axis, in Markdown."""
    for axis, rows in found.items():
        names = list(dict.fromkeys(name for row in rows.values() for name in row if row[name]))
        yield f"| {axis} | " + " | ".join(names) + " |"
        yield "|---:" * (len(names) + 1) + "|"
        for value, row in rows.items():
            cells = (f"{row[name]:.4g}" if name in row else "" for name in names)
            yield f"| {value} | " + " | ".join(cells) + " |"
        yield ""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="growth of the cost of P-TAME")
    parser.add_argument("--classifier", default="resnet18")
    parser.add_argument("--auxiliary", default="resnet18")
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)  # as many processes as ranks, each as fast as alone
    keep_freed_memory()
    warnings.filterwarnings("ignore")
    found = measure(options)
    result = vars(options) | {"base": BASE, "bandwidth": BANDWIDTH, "threads": 1}
    result |= {"load_average": os.getloadavg()[0]} | found
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print("\n".join(tables(found)))


if __name__ == "__main__":
    main()
