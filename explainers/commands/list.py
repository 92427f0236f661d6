"""`explainers list`: the explainers, each with the first line of its docstring."""

import argparse
import inspect

from explainers.methods import METHODS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line an explainer."""
    width = max(map(len, METHODS))
    for name, kind in METHODS.items():
        print(f"{name:{width}} {(inspect.getdoc(kind) or '').splitlines()[0]}")
    return 0
