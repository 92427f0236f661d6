"""Sources of classifiers, by the prefix of their name."""

from collections.abc import Callable
from importlib import import_module

from explainers.classifier.sources import timm_source
from explainers.classifier.sources.clip_networks import clip_as_timm
from explainers.classifier.sources.network import Network
from explainers.classifier.sources.vit_conversion import as_timm
from explainers.classifier.text_head import TextClassifier

__all__ = ["Network", "create"]

OPEN_CLIP = "explainers.classifier.sources.open_clip_source"
SOURCES = {
    "torchvision:": "explainers.classifier.sources.torchvision_source",
    "transformers:": "explainers.classifier.sources.transformers_source",
    "open_clip:": OPEN_CLIP,
}
"""Modules whose `create` builds the classifiers of a prefix; all others are timm's."""


def create(
    name: str,
    pretrained: bool = True,
    weights: str | None = None,
    num_classes: int | None = None,
    as_it_is: bool = False,
    with_texts: bool = False,
) -> Network:
    """Build a network from its name.

    Args:
        name: `torchvision:NAME[@WEIGHTS]`, `transformers:PATH_OR_NAME`, `open_clip:ARCH@PRETRAINED`,
            or what `timm_source.create` takes.
        pretrained: load the weights that the name stands for; False draws random ones.
        weights: a checkpoint file (.safetensors, .pth) to take the weights from instead.
        num_classes: classes to tell apart; by default as many as the weights do.
        as_it_is: keep the library's own network where timm has the same, so that its layers have
            their names.
        with_texts: its classes are texts, so that a CLIP network of timm needs its text tower.

    Raises:
        InputError: the name, the file or its shapes are not usable.
    """
    if with_texts and not name.startswith(tuple(SOURCES)):
        name = f"open_clip:{import_module(OPEN_CLIP).of_timm(name)}"
    for prefix, module in SOURCES.items():
        if name.startswith(prefix):
            # Only now: the package is optional, or slow to import.
            build: Callable[..., Network] = import_module(module).create
            network = build(name.removeprefix(prefix), pretrained, weights, num_classes)
            if as_it_is:
                return network
            if isinstance(network.model, TextClassifier):
                return network._replace(model=clip_as_timm(network.model))
            return network._replace(model=as_timm(network.model))
    return Network(timm_source.create(name, pretrained, weights, num_classes))
