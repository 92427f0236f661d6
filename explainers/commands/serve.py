"""`explainers serve`: the web page."""

import argparse
from pathlib import Path

from explainers.app import serve_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--checkpoint",
        nargs="*",
        default=[],
        metavar="BUNDLE",
        help="bundles to ask; by default all in checkpoints/",
    )
    parser.add_argument(
        "--config",
        nargs="*",
        default=[],
        type=Path,
        metavar="FILE",
        help="configs of train.py, of methods that need no training",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    serve_page(arguments.checkpoint, arguments.config, arguments.host, arguments.port)
    return 0
