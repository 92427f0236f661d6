"""Sources of classifiers, by the prefix of their name."""

from collections.abc import Callable
from importlib import import_module

from explainers.classifier.sources import timm_source
from explainers.classifier.sources.network import Network
from explainers.classifier.sources.vit_conversion import as_timm

__all__ = ["Network", "create"]

SOURCES = {
    "torchvision:": "explainers.classifier.sources.torchvision_source",
    "transformers:": "explainers.classifier.sources.transformers_source",
}
"""Modules whose `create` builds the classifiers of a prefix; all others are timm's."""


def create(
    name: str,
    pretrained: bool = True,
    weights: str | None = None,
    num_classes: int | None = None,
    as_it_is: bool = False,
) -> Network:
    """Build a network from its name.

    Args:
        name: `torchvision:NAME[@WEIGHTS]`, `transformers:PATH_OR_NAME`, or what
            `timm_source.create` takes.
        pretrained: load the weights that the name stands for; False draws random ones.
        weights: a checkpoint file (.safetensors, .pth) to take the weights from instead.
        num_classes: classes to tell apart; by default as many as the weights do.
        as_it_is: keep the library's own network where timm has the same, so that its layers have
            their names.

    Raises:
        InputError: the name, the file or its shapes are not usable.
    """
    for prefix, module in SOURCES.items():
        if name.startswith(prefix):
            # Only now: the package is optional, or slow to import.
            build: Callable[..., Network] = import_module(module).create
            network = build(name.removeprefix(prefix), pretrained, weights, num_classes)
            if as_it_is or network.image_format is None:
                return network
            return network._replace(model=as_timm(network.model, network.image_format.size))
    return Network(timm_source.create(name, pretrained, weights, num_classes))
