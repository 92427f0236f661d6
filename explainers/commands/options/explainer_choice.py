"""Options that choose an explainer: a bundle, or a method that needs no training."""

import argparse

from explainers.commands.option_values import named_path


def add_choice(parser: argparse.ArgumentParser, config_help: str) -> None:
    """Add the options; `config_help` is the help of `--config`."""
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument(
        "--checkpoint",
        type=_named,
        metavar="BUNDLE",
        help="folder of a bundle, name of one that `explainers list` shows, or hf-hub:org/name",
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
