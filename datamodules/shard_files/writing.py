"""Writer of shards, sample by sample, that goes on after a run was killed."""

import sys
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datamodules.errors import DataError
from datamodules.shard_files.durable import atomic_write, new_folder, partial_path
from datamodules.shard_files.index import index_of
from datamodules.shard_files.info import INFO, SplitInfo, read_info, write_info
from datamodules.shard_files.names import check_split
from datamodules.shard_files.process_pool import exclusive_lock
from datamodules.shard_files.tar_members import packed_size, room_for_samples, write_member

NewSample = tuple[str, Mapping[str, bytes]]
"""A key, and the content of each member by its extension."""

NUMBERED = "-000000000"  # room in a name for the number of a key that is taken


class ShardWriter:
    """Writes samples to the shards of a folder, and goes on where an earlier run was stopped.

    Progress is kept in `_info.json`, which is written after each shard: work of an earlier run
    after its last whole shard is done again. Use it as a context; a Ctrl-C in it keeps the
    shard that was begun.

    Args:
        folder: of the shards.
        split: how their names begin.
        max_size: of a shard, in bytes; only one of a single unit is larger.
        settings: plain values that say what the samples are made of and how; a run with others
            does not go on from here.

    Attributes:
        position: number of units done.
        left_out: units that gave no sample, and why.

    Raises:
        DataError: the split's name is none, or, from `with`, the folder holds shards of other
            settings, or not those that its `_info.json` names, or another run writes there.
    """

    def __init__(self, folder: Path, split: str, max_size: int, settings: dict[str, Any]) -> None:
        check_split(split)
        self.folder = folder
        self.split = split
        self.room = room_for_samples(max_size)
        self.settings = settings
        self.position = 0
        self.left_out: dict[str, str] = {}
        self._names: list[str] = []
        self._lengths: list[int] = []
        self._open: _OpenShard | None = None
        self._halfway = False
        self._noted = False
        self._alone = ExitStack()

    def __len__(self) -> int:
        """The number of samples written."""
        return sum(self._lengths) + (self._open.length if self._open else 0)

    @property
    def shards(self) -> list[Path]:
        """The paths of the whole shards."""
        return [self.folder / name for name in self._names]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(new_folder(self.folder))
            stack.enter_context(exclusive_lock(self.folder))
            self._take_up()
            self._alone = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stopped = kind is KeyboardInterrupt and not self._halfway and self.position > 0
        try:
            if kind is None or stopped:
                self._finish()
            elif self._open is not None:
                self._open.abandon(kind, error, traceback)
        except BaseException:
            self._alone.__exit__(*sys.exc_info())
            raise
        self._alone.__exit__(kind, error, traceback)

    def add(self, samples: Sequence[NewSample], left_out: Mapping[str, str] | None = None) -> None:
        """Add all that comes of the next unit, which no two shards share.

        Args:
            samples: none, one or several.
            left_out: what could not be made a sample, by a name, and why.
        """
        size = sum(map(_packed_size, samples))
        if self._open is not None and samples and self._open.size + size > self.room:
            self._finish()
        self._halfway = True
        if self._open is None and samples:
            self._open = _OpenShard(self._next())
        for key, members in samples:
            assert self._open is not None  # for the type checker
            self._open.write(key, members)
        self.position += 1
        self.left_out |= left_out or {}
        self._halfway = False

    def _next(self) -> Path:
        return self.folder / f"{self.split}-{len(self._names):06d}.tar"

    def _finish(self) -> None:
        """Give the open shard its name, and record the progress."""
        if self._open is not None:
            if not self._noted:
                self._note()  # or a run killed between the two could not go on
            self._open.close()
            self._names.append(self._open.path.name)
            self._lengths.append(self._open.length)
            self._open = None
        self._note()

    def _note(self) -> None:
        info = read_info(self.folder)
        info["splits"][self.split] = {
            "name": self.split,
            "num_samples": sum(self._lengths),
            "filenames": self._names,
            "shard_lengths": self._lengths,
            "settings": self.settings,
            "position": self.position,
            "left_out": self.left_out,
        }
        write_info(self.folder, info)
        self._noted = True

    def _take_up(self) -> None:
        """Read the progress of an earlier run, and check that its shards are there."""
        entry = read_info(self.folder)["splits"].get(self.split)
        there = {path.name for path in self.folder.glob(f"{self.split}-[0-9]*.tar")}
        if entry is None:
            if there:
                raise DataError(
                    f"{self.folder / min(there)} is of another run; remove it, or choose another "
                    "--output"
                )
            return
        if not _goes_on(entry):
            raise DataError(
                f"{self.folder / INFO} holds a split {self.split} of which it does not tell how "
                "far it came; choose another --output"
            )
        self._noted = True
        theirs = entry["settings"]
        for name in theirs.keys() | self.settings.keys():
            if theirs.get(name) != self.settings.get(name):
                raise DataError(
                    f"{self.folder} holds {self.split} of other settings ({name} was "
                    f"{theirs.get(name)!r}, and is {self.settings.get(name)!r}); remove it, or "
                    "choose another --output"
                )
        self._names, self._lengths = list(entry["filenames"]), list(entry["shard_lengths"])
        self.position, self.left_out = entry["position"], dict(entry["left_out"])
        for path, length in zip(self.shards, self._lengths, strict=True):
            if not path.is_file() or len(index_of(path)) != length:
                raise DataError(
                    f"{path} is not there with the {length} samples that {INFO} names; remove "
                    f"{self.folder / INFO} and the shards to begin anew"
                )
        partial_path(self._next()).unlink(missing_ok=True)


def _goes_on(entry: SplitInfo) -> bool:
    """Whether an entry of `_info.json` says what `ShardWriter` goes on from."""
    position, settings, left_out = map(entry.get, ("position", "settings", "left_out"))
    counted = isinstance(position, int) and not isinstance(position, bool) and position >= 0
    return counted and isinstance(settings, dict) and isinstance(left_out, dict)


class _OpenShard:
    """A shard that is being written; it is not there before it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        self.size = 0
        self._keys: set[str] = set()
        self._stack = ExitStack()
        file = self._stack.enter_context(atomic_write(path))
        self._tar = self._stack.enter_context(tarfile.TarFile(fileobj=file, mode="w"))

    def write(self, key: str, members: Mapping[str, bytes]) -> None:
        """Add a sample, under a number besides if its key is taken."""
        base = key = _plain(key)
        number = 1
        while key in self._keys:
            number += 1
            key = f"{base}-{number}"
        self._keys.add(key)
        for extension, content in members.items():
            write_member(self._tar, f"{key}.{extension}", content)
        self.length += 1
        self.size += _packed_size((key, members))

    def close(self) -> None:
        """Put it in place."""
        self._stack.close()

    def abandon(
        self,
        kind: type[BaseException],
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing of it."""
        self._stack.__exit__(kind, error, traceback)


def _plain(key: str) -> str:
    """A key that leads nowhere else, and that no reader cuts at a dot."""
    parts = [part for part in key.replace("\\", "/").split("/") if part not in ("", "..", ".")]
    return "/".join(part.replace(".", "_") for part in parts) or "_"


def _packed_size(sample: NewSample) -> int:
    key, members = sample
    return packed_size(key + NUMBERED, map(len, members.values()))
