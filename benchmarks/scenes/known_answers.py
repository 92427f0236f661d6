"""What scenes know beside masks: drops of the objects' own masks, and maps of classes not there."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from explainers import Explainer, FrozenClassifier
from explainers.evaluation.comparison import Comparison
from explainers.images.pixel_removal import REMOVALS


@torch.no_grad()
def drops_of_own_masks(
    classifier: FrozenClassifier, batches: Iterable[dict[str, Any]]
) -> dict[str, float]:
    """Average drop of the objects' own masks in percent, by the removal of pixels."""
    drops: dict[str, list[Tensor]] = {name: [] for name in REMOVALS}
    for batch in batches:
        images, target, masks = batch["image"], batch["target"], batch["mask"].float()
        decision = classifier.decision
        whole = decision.probability_of(target, classifier(images))
        for name, remove in REMOVALS.items():
            kept = decision.probability_of(target, classifier(remove(images, masks)))
            drops[name].append((whole - kept).relu() / whole)
    return {name: 100 * float(torch.cat(values).mean()) for name, values in drops.items()}


@torch.no_grad()
def areas(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Mean map in percent, as answered, of a class that scenes show and of one that they do not.

    Of the explainers of the comparison, each training for itself; another class is drawn for each
    scene.
    """
    found = {}
    for name, method in comparison.methods.items():
        if not isinstance(method, Explainer):
            continue
        generator = torch.Generator().manual_seed(0)
        shown: list[Tensor] = []
        absent: list[Tensor] = []
        for batch in comparison.batches:
            images, classes = batch["image"], batch["classes"]
            order = torch.rand(classes.shape, generator=generator).masked_fill(classes, -1)
            for target, means in ((batch["target"], shown), (order.argmax(dim=1), absent)):
                maps = method.to_maps(method(images, target).detach())
                means.append(maps.mean(dim=(1, 2, 3)))
        found[name] = {
            "area_of_shown": 100 * float(torch.cat(shown).mean()),
            "area_of_absent": 100 * float(torch.cat(absent).mean()),
        }
    return found
