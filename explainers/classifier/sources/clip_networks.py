"""Image towers of open_clip as classifiers of texts, as timm's networks where they are the same."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from explainers.classifier.sources.vit_conversion import TOLERANCE, clip_vit, sides
from explainers.classifier.text_head import TextClassifier, TextHead


@torch.no_grad()
def text_classifier(tower: Any, scale: float, offset: float) -> TextClassifier:  # noqa: ANN401
    """A classifier of texts, by an image tower of open_clip.

    Args:
        tower: maps normalised images to embeddings.
        scale: factor of the cosines.
        offset: added to all logits.
    """
    classifier = TextClassifier(tower.eval(), nn.Identity())
    width = classifier(_image(tower)).shape[1]
    classifier.head = TextHead(width, scale, offset, _projection(tower), embedded=True)
    return classifier


@torch.no_grad()
def clip_as_timm(classifier: TextClassifier) -> nn.Module:
    """Timm's network with the weights of an image tower of open_clip, all of whose features can be read.

    The classifier itself where timm has none that gives the same embeddings.
    """
    head: Any = classifier.head
    if head.projection is None:
        return classifier
    pooled = TextHead(head.texts.shape[1], float(head.scale), float(head.offset), head.projection)
    network = _timm_network(classifier.tower, pooled)
    if network is None:
        return classifier
    image = _image(classifier.tower)
    expected = classifier.embed(image)
    features = network.forward_head(network.forward_features(image), pre_logits=True)
    difference = (pooled.projected(features) - expected).abs().max()
    return network if difference <= TOLERANCE * expected.abs().max() else classifier


def _image(tower: Any) -> Tensor:  # noqa: ANN401
    return (
        torch.rand(1, 3, *sides(tower.image_size), generator=torch.Generator().manual_seed(0)) * 2
        - 1
    )


def _projection(tower: Any) -> nn.Linear | nn.Identity | None:  # noqa: ANN401
    """The linear map from what a tower pools to its embeddings; None where there is no such map."""
    kind = type(tower).__name__
    if kind == "VisionTransformer" and tower.attn_pool is None:
        return _linear(tower.proj.mT)
    if kind == "ModifiedResNet":
        values, out = tower.attnpool.v_proj, tower.attnpool.c_proj
        return _linear(out.weight @ values.weight, out.weight @ values.bias + out.bias)
    if kind == "TimmModel":
        last = list(tower.head.children())
        found = last[-1] if last else tower.trunk.get_classifier()
        return found if isinstance(found, nn.Linear | nn.Identity) else None
    return None


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def _timm_network(tower: Any, head: TextHead) -> Any:  # noqa: ANN401
    """Timm's network with the weights of a tower and with another head; None if there is none."""
    try:
        if type(tower).__name__ == "VisionTransformer":
            network: Any = clip_vit(tower)
            network.head = head
        elif type(tower).__name__ == "TimmModel":
            network = copy.deepcopy(tower.trunk)
            network.set_submodule(network.pretrained_cfg["classifier"], head)
        else:
            return None
    except (RuntimeError, AttributeError, KeyError, AssertionError, TypeError):
        return None  # of another layout than the families' usual one
    network.num_classes = 0
    return network.eval()
