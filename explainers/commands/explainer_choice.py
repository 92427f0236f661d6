"""The chosen explainer: a bundle, or a method that needs no training."""

import argparse
from pathlib import Path

from explainers.base import Explainer
from explainers.bundle.loading import load_explainer
from explainers.bundle.untrained import load_untrained
from explainers.classifier.class_names import read_class_names
from explainers.errors import InputError


def chosen(arguments: argparse.Namespace) -> Explainer:
    """Load the chosen explainer.

    Raises:
        InputError: it cannot be loaded, a config is of a method that has to be trained, or classes
            are given as texts to what cannot explain them.
    """
    explainer = _loaded(arguments)
    if arguments.classes:
        one_file = len(arguments.classes) == 1 and Path(arguments.classes[0]).is_file()
        given = arguments.classes[0] if one_file else arguments.classes
        explainer.tell_apart(read_class_names(given) or ())
    return explainer


def _loaded(arguments: argparse.Namespace) -> Explainer:
    if arguments.config:
        if arguments.classifier_weights:
            raise InputError(
                "--classifier-weights goes with --checkpoint; name the file as weights of the "
                "classifier in the config"
            )
        return load_untrained(arguments.config)
    return load_explainer(
        arguments.checkpoint, arguments.allow_other_weights, arguments.classifier_weights
    )
