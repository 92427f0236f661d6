"""Values of command-line options, checked as they are read."""

import argparse
from pathlib import Path


def named_path(text: str) -> Path:
    """A path that is not empty, for `type=` of argparse."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty; name a file or a folder")
    if "\0" in text:
        raise argparse.ArgumentTypeError("the name holds a zero byte; name a file or a folder")
    return Path(text)
