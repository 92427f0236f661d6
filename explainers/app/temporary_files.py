"""Folder of uploads and answers, whose old files are deleted on a clock."""

from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from time import time
from types import TracebackType
from typing import Self

SWEEPS = 10  # in the time that a file lives


class TemporaryFiles:
    """A folder whose files are deleted some time after they were written; use it in a `with`.

    Gradio's own clean-up ends when two people ask.

    Args:
        folder: the folder, which is there.
        lifetime: seconds after which a file is deleted, at most a tenth later.
    """

    def __init__(self, folder: Path, lifetime: float) -> None:
        self.folder = folder
        self.lifetime = lifetime
        self._kept: frozenset[Path] = frozenset()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Start the clock; files that are in the folder now are kept, however old they are."""
        self._kept = frozenset(self.folder.rglob("*"))
        self._thread.start()

    def sweep(self) -> None:
        """Delete old files and empty folders."""
        now = time()
        for path in sorted(self.folder.rglob("*"), reverse=True):  # files before their folder
            with suppress(OSError):  # not empty, or deleted by somebody else
                # A folder is touched by what is deleted in it; uploads come soon after theirs.
                if path in self._kept or now - path.stat().st_mtime <= self.lifetime:
                    continue
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()

    def __enter__(self) -> Self:
        """Do nothing: the clock waits for `start`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the clock."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self.lifetime / SWEEPS):
            with suppress(OSError):  # a folder that vanished while it was listed
                self.sweep()
