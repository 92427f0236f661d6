"""Options of `explainers layers`."""

import argparse

from explainers.commands.option_values import named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--model", metavar="NAME", help="a classifier, as torchvision:resnet18")
    choice.add_argument(
        "--config", type=named_path, metavar="FILE", help="a config that describes a classifier"
    )
