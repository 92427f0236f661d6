"""Ways to make a frozen network's passes faster: `python benchmarks/passes.py [--batch 8]`.

Every method here spends its time in passes of frozen networks: forward without gradients, and
forward and backward to the images. Times both, the shortest of several repeats in turns, relative
to torch's defaults:

- contiguous: torch's default memory layout;
- channels_last: the layout that `FrozenClassifier` sets;
- folded: with batch norms folded, `fold_batch_norm: true`;
- compiled: folded, and `torch.compile` of the network;
- bfloat16: channels last, under autocast.

Predicted before measuring, and found on two idle cores, in `passes.json`:

- channels_last halves the time of networks of depthwise convolutions and changes little for others.
  Found less, 16 and 7 to 9 %: torch's convolutions reorder their inputs.
- Folding saves the share of the batch norms, 5 to 15 %. Found 16 and 24 % of EfficientNet-Lite0, 5
  to 7 % of ResNet-50, beyond channels_last.
- Compilation fuses the operations left between the convolutions, under 10 % beyond folding. Found
  4 % of ResNet-50 and nothing of EfficientNet-Lite0, whose backward pass becomes three times
  slower; half a minute of compilation each. So no option compiles;
  `explainer.classifier.model.compile()` does.
- bfloat16 loses on processors that only emulate it. Found 7 to 24 times slower.

Prints the ratios and the time of the compilation, and writes `passes.json` beside this file.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from explainers import FrozenClassifier
from explainers.classifier.freed_memory import keep_freed_memory

WAYS = ("contiguous", "channels_last", "folded", "compiled", "bfloat16")
Pass = Callable[[nn.Module, Tensor], object]


@torch.no_grad()
def forward(model: nn.Module, images: Tensor) -> Tensor:
    """A pass without gradients."""
    logits: Tensor = model(images)
    return logits


def back(model: nn.Module, images: Tensor) -> Tensor:
    """A pass and the gradient of the images."""
    shown = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model(shown).float().amax(dim=1).sum(), shown)
    return gradient


def build(name: str, way: str) -> nn.Module:
    """The network alone, frozen; random weights take as long as any others."""
    if way == "contiguous":
        return timm.create_model(name).eval().requires_grad_(False)
    model = FrozenClassifier(name, pretrained=False, fold_batch_norm=way in WAYS[2:4]).model
    return torch.compile(model) if way == "compiled" else model  # type: ignore[return-value]


def seconds(work: Pass, model: nn.Module, images: Tensor, way: str) -> float:
    """Time of one call."""
    started = time.perf_counter()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=way == "bfloat16"):
        work(model, images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(name: str, batch: int, repeats: int, device: str) -> dict[str, object]:
    """Each way's time over that of the default layout, and its first call, which compiles."""
    images = torch.rand(batch, 3, 224, 224, device=device)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    models = {way: build(name, way).to(device) for way in WAYS}
    result: dict[str, object] = {"model": name}
    for title, work in {"forward": forward, "forward and back": back}.items():
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(repeats + 1):
            for way, model in models.items():
                shown = images if way == "contiguous" else laid_out
                taken[way].append(seconds(work, model, shown, way))
        first = taken["compiled"][0]
        least = {way: min(times[1:]) for way, times in taken.items()}
        result[title] = {
            "seconds_contiguous": least["contiguous"],
            "seconds_first_call_compiled": first,
            **{way: least[way] / least["contiguous"] for way in WAYS[1:]},
        }
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time ways to make passes faster")
    parser.add_argument("--model", nargs="+", default=["tf_efficientnet_lite0", "resnet50"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "batch": options.batch,
        "over_contiguous": [
            measure(name, options.batch, options.repeats, device) for name in options.model
        ],
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
