"""Training steps of P-TAME written out: the passes alone, and the step as the paper describes it."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers import PTAME, FrozenClassifier
from explainers.images.pixel_removal import keep
from explainers.training.losses import area, variation
from explainers.training.masking_network import enlarge


def build(classifier: str, auxiliary: str, fold: bool) -> PTAME:
    """The explainer, with the published settings."""
    options = {"pretrained": False, "fold_batch_norm": fold}
    return PTAME({"model": classifier} | options, {"model": auxiliary} | options)


def objective(explainer: PTAME, logits: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    """The published loss of masks (b b _ _)."""
    weights = explainer.objective
    return (
        weights.classification_weight * F.cross_entropy(logits, labels)
        + weights.area_weight * area(masks, weights.area_power)
        + weights.variation_weight * variation(masks, weights.variation_border)
    )


def floor(explainer: PTAME) -> Callable[[Tensor], None]:
    """A step of the passes alone."""
    optimizer = explainer.build_optimizer()
    network, classifier = explainer.network, explainer.classifier

    def step(images: Tensor) -> None:
        with torch.no_grad():
            labels = classifier(images).argmax(dim=1)
            features = network.read(images)
        masks = network.head(features, labels[None]).sigmoid()
        own = masks.diagonal().permute(2, 0, 1)[:, None]
        logits = classifier(keep(images, enlarge(own, images)))
        optimizer.zero_grad()
        objective(explainer, logits, masks, labels).backward()
        optimizer.step()

    return step


def literal(explainer: PTAME, layout: torch.memory_format) -> Callable[[Tensor], None]:
    """A step as the paper describes it, with the weights of our head."""
    optimizer = explainer.build_optimizer()
    network, classifier = explainer.network, explainer.classifier
    head = network.head
    for frozen in (network.backbone, classifier):
        frozen.model.to(memory_format=layout)
        frozen.prepare = partial(prepared, frozen, layout)  # type: ignore[method-assign]
    classifier.model.requires_grad_(True)

    def step(images: Tensor) -> None:
        labels = classifier(images).argmax(dim=1)
        features = network.read(images)
        size = features[0].shape[-2:]
        refined = [
            F.interpolate(branch(maps), size, mode="bilinear")
            for branch, maps in zip(head.branches, features, strict=True)
        ]
        maps = F.conv2d(torch.cat(refined, dim=1), head.fuser.weight[..., None, None])
        masks = maps.sigmoid()[:, labels]  # (b b _ _) of (b classes _ _)
        own = masks.diagonal().permute(2, 0, 1)[:, None]
        logits = classifier(keep(images, enlarge(own, images)))
        optimizer.zero_grad()
        classifier.model.zero_grad()
        objective(explainer, logits, masks, labels).backward()
        optimizer.step()

    return step


def prepared(frozen: FrozenClassifier, layout: torch.memory_format, images: Tensor) -> Tensor:
    """Images as a network takes them, in a memory layout."""
    return ((images - frozen.mean) / frozen.std).contiguous(memory_format=layout)
