"""Checks of the settings of datamodules, where they enter: value, rule and way out."""

import math
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from datamodules.errors import DataError

MOST = 2**32 - 1  # of any count, and of a seed as numpy and Lightning take it
MOST_SIDE = 16_384  # pixels; an image has 3 GB then
MOST_WORKERS = 1024


def check_count(name: str, value: Any, least: int = 1, most: int = MOST) -> None:  # noqa: ANN401
    """Refuse what is not a whole number of a range.

    Args:
        name: of the setting, for the message.
        value: as it was given.
        least: the lowest that is allowed.
        most: the highest that is allowed.

    Raises:
        DataError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name} must be a whole number, got {value!r}; give {least} or more")
    if value < least:
        raise DataError(f"{name} must be at least {least}, got {value}; raise it")
    if value > most:
        raise DataError(f"{name} must be at most {most}, got {value}; lower it")


def check_side(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse what is not a number of pixels that an image's side may have."""
    check_count(name, value, most=MOST_SIDE)


def check_seed(seed: Any) -> None:  # noqa: ANN401
    """Refuse a seed that is negative or no whole number."""
    check_count("seed", seed, least=0)


def check_share(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse what is not a share in (0, 1]."""
    if not _is_share(value):
        raise DataError(f"{name} must be in (0, 1], got {value!r}; 1 stands for all")


def check_scale(scale: Any) -> None:  # noqa: ANN401
    """Refuse what is not two shares in (0, 1], the least first."""
    two = isinstance(scale, Sequence) and not isinstance(scale, str) and len(scale) == 2
    if not two or not all(map(_is_share, scale)) or scale[0] > scale[1]:
        shown = list(scale) if isinstance(scale, tuple) else scale
        raise DataError(
            f"scale must be two shares in (0, 1], least first, got {shown!r}; [0.08, 1.0] is usual"
        )


def check_known(name: str, value: Any, known: Sequence[str]) -> None:  # noqa: ANN401
    """Refuse a value that is not among the known ones."""
    if value not in known:
        raise DataError(f"{name} must be one of {', '.join(known)}, got {value!r}; choose one")


def check_path(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse what cannot be the path of a file or folder."""
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise DataError(f"{name} must be the path of a file or folder, got {value!r}; name one")


def check_patterns(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse what cannot name shards: neither a pattern nor a list of some."""
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, Sequence) or not patterns:
        raise DataError(f"{name} must name at least one shard, got {value!r}; give a path or glob")
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip() or "\0" in pattern:
            raise DataError(
                f"{name} must be paths, globs or addresses of shards, got {pattern!r}; correct it"
            )


def _is_share(value: Any) -> bool:  # noqa: ANN401
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 < value <= 1
