"""Options that choose an explainer: a bundle, or a method that needs no training."""

import argparse
from pathlib import Path

from explainers.base import Explainer
from explainers.bundle.loading import load_explainer
from explainers.bundle.untrained import load_untrained
from explainers.classifier.class_names import read_class_names
from explainers.commands.option_values import named_path
from explainers.errors import InputError


def add_choice(parser: argparse.ArgumentParser, config_help: str) -> None:
    """Add the options; `config_help` is the help of `--config`."""
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument(
        "--checkpoint",
        type=_named,
        help="a bundle: folder, name of one of the package, hf-hub:org/name",
    )
    choice.add_argument("--config", type=named_path, metavar="FILE", help=config_help)
    parser.add_argument(
        "--classifier-weights",
        type=named_path,
        metavar="FILE",
        help="weights of the classifier, where those that the bundle names are elsewhere",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="TEXT",
        help="texts to tell apart, or a file of one a line; for a network with a text tower",
    )
    parser.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="go on although the classifier has other weights than the explainer was trained for",
    )


def _named(source: str) -> str:
    """A bundle's folder or its name on the hub, which is not empty."""
    return source if source.startswith("hf-hub:") else str(named_path(source))


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
