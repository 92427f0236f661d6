"""Which explainer a command asks: a bundle, or a method that needs no training."""

import argparse
from pathlib import Path

from explainers.base import Explainer
from explainers.bundle.from_config import load_untrained
from explainers.bundle.loading import load_explainer


def add_choice(command: argparse.ArgumentParser, config_help: str) -> None:
    """Declare the options; `config_help` says what a config is good for."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", help="a bundle: folder or hf-hub:org/name")
    which.add_argument("--config", type=Path, metavar="FILE", help=config_help)
    command.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="go on although the classifier has other weights than the explainer was trained for",
    )


def chosen(arguments: argparse.Namespace) -> Explainer:
    """Load what was asked for.

    Raises:
        InputError: it cannot be loaded, or a config is of a method that has to be trained.
    """
    if arguments.config:
        return load_untrained(arguments.config)
    return load_explainer(arguments.checkpoint, arguments.allow_other_weights)
