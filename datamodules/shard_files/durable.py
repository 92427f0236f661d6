"""Atomic writing of files: they are there completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def partial_path(path: Path) -> Path:
    """The path at which a file is written before it takes its name."""
    return path.with_name(f"{path.name}.part")


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder and those above it; take away what is empty of them if the block fails."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it is not empty
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the block ends well, and vanishes when it does not.

    What is written is on the disk before the name is, so a crash leaves no half of it.
    """
    aside = partial_path(path)
    try:
        with aside.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
