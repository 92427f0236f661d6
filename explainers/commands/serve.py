"""`explainers serve`: the web page."""

import argparse
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from explainers.app import serve_page
from explainers.commands.option_values import named_path

INTERRUPTED = 130


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


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    try:
        with _quiet():
            serve_page(
                arguments.checkpoint,
                arguments.config,
                arguments.host,
                arguments.port,
                arguments.allowed_host,
                classifier_weights=arguments.classifier_weights,
            )
    except (KeyboardInterrupt, SystemExit) as end:
        code = INTERRUPTED if isinstance(end, KeyboardInterrupt) else end.code
        _end_workers(int(code or 0))
        return int(code or 0)
    return 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Show our own warnings, in one line, and nothing of libraries below an error."""
    if sys.warnoptions:  # python -W or PYTHONWARNINGS brings all back
        yield
        return
    logger = logging.getLogger()
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", module=r"explainers\b")
        warnings.showwarning = _show_warning
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _end_workers(code: int) -> None:
    """Exit at once if a thread still computes an answer, which nothing can stop."""
    if any(one.name == "AnyIO worker thread" for one in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
