"""Passes of the classifier that a step of training takes, counted."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from explainers import Distilled
from explainers.from_config import build
from explainers.training.learned_explainer import LearnedExplainer

IMAGES = 4


def passes_of(family: dict[str, Any]) -> dict[str, int]:
    """Passes of a training step an image: forward, and those of them that go back as well.

    Counted in a step on noise; the pass that reads features counts as one forward. `teacher` are
    the forward passes that are left out when the same images come again, as a teacher's are.

    Args:
        family: class_path and init_args of a learned explainer.
    """
    explainer: LearnedExplainer = build(family, LearnedExplainer)
    explainer.train()
    images = torch.rand(IMAGES, 3, *explainer.classifier.size)
    with TemporaryDirectory() as folder:
        if isinstance(explainer, Distilled):
            explainer.teacher_answers = explainer.ask_teacher(Path(folder))
        (first, _), (forward, backward) = (_counted(explainer, images) for _ in range(2))
    return {"forward": forward, "backward": backward, "teacher": first - forward}


def _counted(explainer: LearnedExplainer, images: Tensor) -> tuple[int, int]:
    """Forward and backward passes of a step, an image."""
    logits, features = explainer.read(images)
    labels = logits.argmax(dim=1)
    shown: list[tuple[int, bool]] = [(len(images), False)]

    def count(module: nn.Module, arguments: object, output: Tensor) -> None:
        shown.append((len(output), output.requires_grad))

    handle = explainer.classifier.model.register_forward_hook(count)
    try:
        masks = explainer.network.draw(features, explainer.step_classes(labels, logits))
        explainer.losses(images, labels, masks, logits)
    finally:
        handle.remove()
    forward = sum(count for count, _ in shown)
    backward = sum(count for count, gradient in shown if gradient)
    return forward // len(images), backward // len(images)
