"""FLOPs and hours of the ImageNet runs: `python benchmarks/training_flops.py [--configs NAME]`.

Counts the floating-point operations of one training step of a config, forward and backward, by
torch's formulas (a multiplication and an addition are two) on torch's meta device: nothing is
computed and nothing downloaded. What trains nothing is counted by the map: the steps of Opti-CAM,
the passes of R-Cut, the pass of CDAM.

Hours are those of one GPU that sustains a share of its peak. That is an assumption, not a
measurement: by default 40 % of an A100's 312 TFLOP/s in bf16 in training (`--share`), and 20 % of
them for maps, which are float32 (`--share-float32`; 40 % of the 156 TFLOP/s of TF32, which torch
uses where it is allowed to). Reading images and the operations of one value at a time, as of norms
and activations, are not counted. `images/s` is what the data has to deliver at that rate.

Prints a table and writes it to `training_flops.json` beside this file.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import explainers
from explainers import CDAM, Explainer, LearnedExplainer, OptiCAM, RCut

CONFIGS = Path(__file__).parents[1] / "configs"
IMAGES = 50_000  # of ImageNet's validation set


class FlopCounter(TorchDispatchMode):
    """Counts by torch's formulas; `FlopCounterMode` itself does not follow `torch.autograd.grad`.

    Attributes:
        total: operations so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=output)
        return output


def built(config: dict[str, Any]) -> Explainer:
    """The explainer of a config, on the meta device."""
    arguments = dict(config["model"]["init_args"])
    for name in {"classifier", "auxiliary"} & arguments.keys():
        source = arguments[name]
        source = source if isinstance(source, dict) else {"model": source}
        # A batch norm is not counted, and folding it needs weights.
        without = {"pretrained": False, "fold_batch_norm": False, "weights": None}
        arguments[name] = source | without
    if "variation_weight" in arguments:  # no operation that is counted, and one that needs values
        arguments["variation_weight"] = 0.0
    kind = getattr(explainers, config["model"]["class_path"].rpartition(".")[2])
    with torch.device("meta"):
        explainer: Explainer = kind(**arguments)
    return explainer


def batch_of(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Images (b 3 h w) and labels (b) without values."""
    images = torch.empty(count, 3, size, size, device="meta")
    return images, torch.empty(count, dtype=torch.int64, device="meta")


def training_step(explainer: LearnedExplainer, images: Tensor) -> None:
    """A step without its optimiser, whose share of the operations is below 1 %."""
    logits, features = explainer.read(images)
    labels = logits.argmax(dim=1)
    masks = explainer.network.draw(features, explainer.target_classes(labels))
    losses = explainer.losses(images, labels, masks, logits)
    torch.stack(list(losses.values())).sum().backward()


def flops_of_step(explainer: LearnedExplainer, batch: int, size: int) -> int:
    """FLOPs of a training step."""
    images, _ = batch_of(batch, size)
    explainer.train()
    with FlopCounter() as counter:
        training_step(explainer, images)
    return counter.total


def flops_of_map(explainer: Explainer, size: int) -> int:
    """FLOPs of the map of an image."""
    images, labels = batch_of(1, size)
    with FlopCounter() as counter, torch.no_grad():
        explainer.classifier(images)
    forward = counter.total
    if isinstance(explainer, RCut):  # a pass a channel, and one for the tokens
        channels = explainer.channels or int(explainer.transformer.model.embed_dim)
        return forward * (1 + (channels if explainer.arm != "cut" else 0))
    if isinstance(explainer, OptiCAM):
        steps, counts = explainer.adam.steps, []
        for few in (1, 2):
            explainer.adam = type(explainer.adam)(few, explainer.adam.lr)
            with FlopCounter() as counter:
                explainer.optimise(images, labels)
            counts.append(counter.total)
        return counts[0] + (steps - 1) * (counts[1] - counts[0])
    if not isinstance(explainer, CDAM):
        raise SystemExit(f"no count of a map of {type(explainer).__name__}; take another config")
    with FlopCounter() as counter:
        explainer.token_scores(images, labels)
    return counter.total


def row_of(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A config's line of the table."""
    config = yaml.safe_load(path.read_text())
    explainer = built(config)
    data, size = config["data"]["init_args"], config["data"]["init_args"].get("size", 224)
    if isinstance(explainer, LearnedExplainer):
        batch, epochs = data["batch_size"], config["trainer"]["max_epochs"]
        steps = epochs * (data["samples_per_epoch"] // batch)
        flops = flops_of_step(explainer, batch, size)
        share = options.share
        unit = "training step"
    else:
        steps, flops, share, unit = (
            IMAGES,
            flops_of_map(explainer, size),
            options.share_float32,
            "map",
        )
        batch, epochs = 1, 1
    rate = share * options.teraflops * 1e12
    return {
        "config": path.stem,
        "unit": unit,
        "batch": batch,
        "epochs": epochs,
        "teraflop_a_unit": flops / 1e12,
        "units": steps,
        "hours": flops * steps / rate / 3600,
        "images_per_second": batch * rate / flops,
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description="count the operations of the ImageNet runs")
    parser.add_argument("--configs", nargs="+", help="names in configs/, without .yaml")
    parser.add_argument("--teraflops", type=float, default=312.0, help="peak of the GPU")
    parser.add_argument("--share", type=float, default=0.4, help="sustained in training")
    parser.add_argument("--share-float32", type=float, default=0.2, help="sustained in explaining")
    options = parser.parse_args()
    found = sorted(path.stem for path in CONFIGS.glob("*_imagenet.yaml"))
    rows = [row_of(CONFIGS / f"{name}.yaml", options) for name in options.configs or found]
    result = {
        "teraflops": options.teraflops,
        "share": options.share,
        "share_float32": options.share_float32,
        "rows": rows,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print("| config | batch, epochs | TFLOP | times | hours | images/s |")
    print("|---|---|---|---:|---:|---:|")
    for row in rows:
        print(
            f"| `{row['config']}` | {row['batch']}, {row['epochs']} "
            f"| {row['teraflop_a_unit']:.3g} a {row['unit']} | {row['units']:,} "
            f"| {row['hours']:.2g} | {row['images_per_second']:,.0f} |"
        )


if __name__ == "__main__":
    main()
