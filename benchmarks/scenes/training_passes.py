"""Passes of the classifier that a step of training takes, counted."""

from typing import Any

import torch
from torch import nn

from explainers.from_config import build
from explainers.training.learned_explainer import LearnedExplainer

IMAGES = 4


def passes_of(family: dict[str, Any], source: dict[str, Any]) -> dict[str, int]:
    """Passes of a training step an image: forward, and those that go back as well.

    Counted in one step on noise; the pass that reads features counts as one forward.

    Args:
        family: class_path and init_args of a learned explainer.
        source: of the classifier.
    """
    explainer: LearnedExplainer = build(family, LearnedExplainer, classifier=source)
    explainer.train()
    images = torch.rand(IMAGES, 3, *explainer.classifier.size)
    logits, features = explainer.read(images)
    labels = logits.argmax(dim=1)
    shown: list[tuple[int, bool]] = [(IMAGES, False)]

    def count(module: nn.Module, arguments: object, output: torch.Tensor) -> None:
        shown.append((len(output), output.requires_grad))

    handle = explainer.classifier.model.register_forward_hook(count)
    try:
        masks = explainer.network.draw(features, explainer.step_classes(labels, logits))
        explainer.losses(images, labels, masks, logits)
    finally:
        handle.remove()
    return {
        "forward": sum(count for count, _ in shown) // IMAGES,
        "backward": sum(count for count, gradient in shown if gradient) // IMAGES,
    }
