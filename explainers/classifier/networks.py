"""Frozen networks inside a module, and what one can be given as."""

from typing import Any

from torch import nn

from explainers.classifier.frozen_classifier import FrozenClassifier

ClassifierSource = str | dict[str, Any] | FrozenClassifier
"""A classifier by name, by the arguments of `FrozenClassifier`, or ready made."""


def frozen_networks(module: nn.Module) -> dict[str, FrozenClassifier]:
    """The frozen networks inside a module, by where they are."""
    return {
        name: part for name, part in module.named_modules() if isinstance(part, FrozenClassifier)
    }
