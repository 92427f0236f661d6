"""Frozen classifiers: sources of weights, features by stage, embeddings, class names."""

from explainers.classifier.frozen_classifier import FrozenClassifier
from explainers.classifier.networks import ClassifierSource, frozen_networks

__all__ = ["ClassifierSource", "FrozenClassifier", "frozen_networks"]
