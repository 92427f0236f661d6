"""Shapley values in one pass against KernelSHAP: `python benchmarks/shapley.py --bundle FOLDER`.

For a bundle of `ShapleyExplainer` (configs/shapley_efficientnet_lite0.yaml) and some of foolbox's
photographs of ImageNet, which no training of ours has seen: the distance of its values, of a head
before training and of KernelSHAP (captum) with few samples to KernelSHAP with many, for the
predicted class and the same removal. Distances are relative, the root of the sum of squared
differences over that of the values, and Pearson's correlation, each a mean over the photographs;
`many again` is KernelSHAP with as many samples and another seed, which is how far the reference
itself is to be trusted.

Prints the table and writes `shapley.json` beside this file.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from captum.attr import KernelShap
from torch import Tensor
from tqdm import tqdm

from datamodules import PhotosDataModule
from explainers import ShapleyExplainer, load_explainer

Method = Callable[[Tensor, Tensor], Tensor]
"""Maps an image (1 3 h w) and its class (1) to values of the patches (r c)."""


def kernel_shap(explainer: ShapleyExplainer, samples: int, seed: int) -> Method:
    """Values by captum's KernelShap, for the explainer's patches and value function."""
    answers = explainer.answers
    decision = explainer.classifier.decision

    def values(image: Tensor, label: Tensor) -> Tensor:
        grid = answers.grid(image)
        players = torch.arange(grid[0] * grid[1])

        def worth(kept: Tensor) -> Tensor:
            subsets = kept.bool().view(1, -1, *grid)
            logits = answers.on_subsets(image, subsets)[0]
            return decision.probabilities(logits)[:, label[0]]

        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            found = KernelShap(worth).attribute(
                torch.ones(1, len(players)),
                baselines=torch.zeros(1, len(players)),
                feature_mask=players[None],
                n_samples=samples,
                perturbations_per_eval=64,
            )
        shaped: Tensor = found.view(grid)
        return shaped

    return values


def in_one_pass(explainer: ShapleyExplainer) -> Method:
    """Values as the explainer answers."""
    return lambda image, label: explainer.patch_values(image, label)[0]


def distances(values: list[Tensor], reference: list[Tensor]) -> dict[str, float]:
    """Mean relative distance and mean correlation of values to those of a reference."""
    relative = [float((a - b).norm() / b.norm()) for a, b in zip(values, reference, strict=True)]
    correlation = [
        float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        for a, b in zip(values, reference, strict=True)
    ]
    count = len(values)
    return {"relative": sum(relative) / count, "correlation": sum(correlation) / count}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Shapley values in one pass against KernelSHAP")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="of the photographs, in pixels")
    parser.add_argument("--many", type=int, default=4096, help="samples of the reference")
    parser.add_argument("--few", type=int, nargs="*", default=[64, 256, 1024])
    options = parser.parse_args()
    explainer = load_explainer(options.bundle)
    if not isinstance(explainer, ShapleyExplainer):
        parser.error(f"{options.bundle} is a {type(explainer).__name__}, no ShapleyExplainer")
    names = ("removal", "cells", "stages", "conditioned", "width")
    settings: Any = {name: explainer.hparams[name] for name in names}
    torch.manual_seed(0)
    untrained = ShapleyExplainer(explainer.classifier, **settings).eval()
    data = PhotosDataModule(size=options.size, batch_size=options.images, num_workers=0)
    data.setup("test")
    images = next(iter(data.test_dataloader()))["image"][: options.images]
    with torch.no_grad():
        labels = explainer.classifier(images).argmax(dim=1)
    methods: dict[str, Method] = {
        f"KernelSHAP, {options.many}": kernel_shap(explainer, options.many, 0),
        f"KernelSHAP, {options.many} again": kernel_shap(explainer, options.many, 1),
        **{f"KernelSHAP, {count}": kernel_shap(explainer, count, 2) for count in options.few},
        "one pass": in_one_pass(explainer),
        "one pass, untrained": in_one_pass(untrained),
    }
    rows = []
    reference: list[Tensor] = []
    for name, method in methods.items():
        started = time.perf_counter()
        pairs = zip(images.split(1), labels.split(1), strict=True)
        values = [method(*pair) for pair in tqdm(pairs, desc=name, total=len(images))]
        seconds = (time.perf_counter() - started) / len(images)
        reference = reference or values
        rows.append({"method": name, **distances(values, reference), "seconds": seconds})
    result = {
        "bundle": options.bundle.name,
        "images": len(images),
        "size": options.size,
        "rows": rows,
    }
    (Path(__file__).parent / "shapley.json").write_text(json.dumps(result, indent=2) + "\n")
    print(
        "| values of | relative distance | correlation | seconds an image |\n|---|---:|---:|---:|"
    )
    for row in rows:
        print(
            f"| {row['method']} | {row['relative']:.2f} | {row['correlation']:.2f} "
            f"| {row['seconds']:.2f} |"
        )


if __name__ == "__main__":
    main()
