"""Errors of data: the message tells what to put right."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAYS_OUT = {
    errno.EEXIST: "a folder is needed there; remove the file, or name another folder",
    errno.ENOTDIR: "a part of the path is a file; name a folder",
    errno.EISDIR: "a file is needed there; name one",
    errno.ENOENT: "name one that is there, in a folder that can be written to",
    errno.EACCES: "get the right to it, or name another place",
    errno.EPERM: "get the right to it, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "free some space, or name a place on another disk",
    errno.EDQUOT: "free some space, or name a place on another disk",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or lower the number of workers",
}
"""Ways out of the system's errors, by their number."""


class DataError(ValueError):
    """Data that cannot be used; the message names it, the rule and the way out."""


class MissingShardError(DataError, FileNotFoundError):
    """A shard that is not where a pattern names it."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnreadableError(DataError):
    """One sample that cannot be read; a run leaves it out, and counts it.

    Args:
        source: the shard or folder that it is in.
        key: its name there.
        reason: what is wrong with it.
    """

    def __init__(self, source: str, key: str, reason: str) -> None:
        super().__init__(source, key, reason)  # all of them, to be pickled
        self.source = source
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: sample {self.key!r} {self.reason}"


class DuplicateKeyError(UnreadableError):
    """A sample that can be read, but shares its key with another of its shard."""


def system_error(error: OSError, path: Path) -> DataError:
    """A system's error with its file and the way out.

    Args:
        error: without a path, or with a more exact one.
        path: that was read or written.
    """
    names = (error.filename, error.filename2)
    named = next((os.fsdecode(name) for name in names if isinstance(name, str | bytes)), path)
    reason = error.strerror or str(error) or type(error).__name__
    way_out = WAYS_OUT.get(error.errno or 0, "check the disk and the path")
    return DataError(f"cannot use {Path(named).absolute()} ({reason}); {way_out}")


@contextmanager
def system_errors_named(path: Path) -> Iterator[None]:
    """Raise the system's errors in this block as data errors that name the path."""
    try:
        yield
    except DataError:  # of which some are the system's as well
        raise
    except OSError as error:
        raise system_error(error, path) from error
