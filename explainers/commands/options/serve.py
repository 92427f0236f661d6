"""Options of `explainers serve`."""

import argparse
from pathlib import Path

from explainers.commands.option_values import named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--checkpoint",
        nargs="*",
        default=[],
        metavar="BUNDLE",
        help="bundles to ask; by default all in checkpoints/, or else those of the package",
    )
    parser.add_argument(
        "--config",
        nargs="*",
        default=[],
        type=Path,
        metavar="FILE",
        help="configs of train.py, of methods that need no training",
    )
    parser.add_argument(
        "--classifier-weights",
        type=named_path,
        metavar="FILE",
        help="weights of the bundles' classifier, where those that they name are elsewhere",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--port", type=int, default=7860, help="1 to 65535; default: 7860")
    parser.add_argument(
        "--allowed-host",
        nargs="*",
        default=[],
        metavar="NAME",
        help="names of this machine that the page may be opened by, beside its addresses",
    )
