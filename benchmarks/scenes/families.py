"""The learned families of the league, each by the class and the arguments of its head."""

from typing import Any

import torch
from torch import nn

from explainers.bundle.from_config import build
from explainers.training.learned_explainer import LearnedExplainer

CLASS = "explainers."

FAMILIES: dict[str, dict[str, Any]] = {
    "lcam": {"class_path": f"{CLASS}LCAM", "init_args": {"variation_weight": 1.0}},
    "tame": {"class_path": f"{CLASS}TAME", "init_args": {"variation_weight": 1.0}},
    "ptame": {"class_path": f"{CLASS}PTAME", "init_args": {"variation_weight": 0.5, "lr": 1e-3}},
    "ptame_cam": {
        "class_path": f"{CLASS}PTAME",
        "init_args": {"variation_weight": 0.5, "lr": 1e-3, "cam_start": True},
    },
    "ptame_plus": {"class_path": f"{CLASS}PTAMEPlus", "init_args": {}},
    "ptame_plus_decoder": {
        "class_path": f"{CLASS}PTAMEPlus",
        "init_args": {"stages": [0, 1, -1], "decoder_width": 32, "deletion_weight": 0.5},
    },
    "ptame_plus_threshold": {
        "class_path": f"{CLASS}PTAMEPlus",
        "init_args": {
            "stages": [0, 1, -1],
            "decoder_width": 32,
            "threshold_weight": 1.0,
            "confidence_weight": 0.0,
        },
    },
    "unet_rtis": {"class_path": f"{CLASS}MaskingUNet", "init_args": {"preset": "rtis"}},
    "unet_phang": {"class_path": f"{CLASS}MaskingUNet", "init_args": {"preset": "phang"}},
    "unet_nn_explainer": {
        "class_path": f"{CLASS}MaskingUNet",
        "init_args": {"preset": "nn_explainer"},
    },
    "unet_threshold": {
        "class_path": f"{CLASS}MaskingUNet",
        "init_args": {"preset": "rtis", "threshold_weight": 1.0},
    },
    "shapley": {
        "class_path": f"{CLASS}ShapleyExplainer",
        "init_args": {"cells": 8, "stages": [0, 1, -1], "width": 32, "subsets": 8},
    },
}
"""By the name of its row: class_path and init_args, without the classifier. P-TAME reads the features
of the classifier as its auxiliary's."""

OTHERS: dict[str, dict[str, Any]] = {
    "grad_cam": {
        "class_path": "explainers.baselines.CAMBaseline",
        "init_args": {"method": "GradCAM"},
    },
    "layer_cam": {
        "class_path": "explainers.baselines.CAMBaseline",
        "init_args": {"method": "LayerCAM"},
    },
    "opti_cam": {"class_path": f"{CLASS}OptiCAM", "init_args": {"preset": "paper"}},
    "integrated_gradients": {
        "class_path": "explainers.baselines.CaptumBaseline",
        "init_args": {"method": "IntegratedGradients"},
    },
    "kernel_shap": {
        "class_path": "explainers.baselines.CaptumBaseline",
        "init_args": {"method": "KernelShap", "samples": 200, "window": 8},
    },
}
"""Methods that are not trained."""


def described(name: str, source: dict[str, Any]) -> dict[str, Any]:
    """A family's class and arguments; P-TAME's with the classifier as auxiliary."""
    family = FAMILIES[name]
    arguments = dict(family["init_args"])
    if family["class_path"].endswith(".PTAME"):
        arguments["auxiliary"] = source
    return {"class_path": family["class_path"], "init_args": arguments}


def passes_of(name: str, source: dict[str, Any]) -> dict[str, int]:
    """Passes of the classifier that a training step takes, an image: forward, and back as well.

    Counted in one step on noise; the pass that reads features counts as one forward.
    """
    explainer: LearnedExplainer = build(
        described(name, source), LearnedExplainer, classifier=source
    )
    explainer.train()
    images = torch.rand(4, 3, *explainer.classifier.size)
    logits, features = explainer.read(images)
    labels = logits.argmax(dim=1)
    counts = {"forward": 4, "backward": 0}

    def count(module: nn.Module, arguments: object, output: torch.Tensor) -> None:
        counts["forward"] += len(output)
        counts["backward"] += len(output) * output.requires_grad

    handle = explainer.classifier.model.register_forward_hook(count)
    try:
        classes = explainer.step_classes(labels, logits)
        masks = explainer.network.draw(features, classes)
        explainer.losses(images, labels, masks, logits)
    finally:
        handle.remove()
    return {what: number // 4 for what, number in counts.items()}
