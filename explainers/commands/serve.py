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
from explainers.errors import INTERRUPTED
from explainers.shipped import shipped_bundles


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    bundles = arguments.checkpoint
    if not (bundles or arguments.config or any(Path("checkpoints").glob("*/config.json"))):
        bundles = list(shipped_bundles())
    try:
        with _quiet():
            serve_page(
                bundles,
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
