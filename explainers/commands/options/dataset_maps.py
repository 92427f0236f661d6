"""Options of `explainers explain --images`, beside those of the images themselves."""

import argparse
from collections.abc import Callable

from datamodules.samples.checks import MOST, MOST_WORKERS
from datamodules.shard_files.byte_sizes import size_in_bytes

PRECISIONS = ("uint8", "float16")
"""Keys of `datamodules.maps.PRECISIONS`."""


def add_data_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that go with `--images`."""
    group = parser.add_argument_group("with --images")
    group.add_argument(
        "--pictures", action="store_true", help="write a picture of each map too, as --image does"
    )
    group.add_argument("--precision", choices=PRECISIONS, default="uint8", help="of a map")
    group.add_argument(
        "--max-size", type=_checked(size_in_bytes), default="256M", help="of a shard in bytes"
    )
    group.add_argument(
        "--batch-size", type=_checked(_count), default=16, help="images explained at once"
    )
    group.add_argument(
        "--workers", type=_checked(_workers), default=0, help="processes that read images"
    )


def _checked(read: Callable[[str], int]) -> Callable[[str], int]:
    """A type for argparse, which shows the reason of a ValueError instead of the type's name."""

    def checked(text: str) -> int:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise ValueError(f"{text!r} is not a number of at least 1")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_WORKERS:
        raise ValueError(f"{text!r} is not a number of processes, from 0 to {MOST_WORKERS}")
    return int(text)
