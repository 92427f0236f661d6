"""Index of shards: the tar files that a pattern names, and the place of every member in them."""

import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from webdataset.shardlists import expand_urls
from webdataset.tariterators import base_plus_ext

from datamodules.errors import DataError, MissingShardError, system_errors_named
from datamodules.samples.checks import check_path, check_patterns
from datamodules.shard_files.fetching import CACHE, Shard
from datamodules.shard_files.tar_scan import scan_tar

MOST_SHARDS = 1_000_000  # of a range in braces
MOST = 1 << 28  # bytes of a member; a photograph has fewer

Sizes = dict[str, tuple[int, int]]


class Index(Sequence[tuple[str, Sizes]]):
    """Each sample's key, and the start and size in bytes of its members.

    Held in 150 bytes a sample: every worker holds those of many shards.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._kinds: list[tuple[str, ...]] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._ends = array("q", [0])
        self._places = array("q")  # start and size of each member

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, position: Any) -> Any:  # noqa: ANN401  as the base class has it
        if not 0 <= position < len(self):
            raise IndexError(position)
        first, end = self._ends[position], self._ends[position + 1]
        places = self._places[2 * first : 2 * end]
        pairs = zip(places[::2], places[1::2], strict=True)
        return self._keys[position], dict(zip(self._kinds[position], pairs, strict=True))

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The keys that are there more than once."""
        return frozenset(key for key, count in Counter(self._keys).items() if count > 1)

    def add(self, key: str, members: Sizes) -> None:
        """Append a sample."""
        kind = tuple(members)
        self._keys.append(key)
        self._kinds.append(self._known.setdefault(kind, kind))
        for place in members.values():
            self._places.extend(place)
        self._ends.append(self._ends[-1] + len(members))


def find_shards(patterns: str | Sequence[str], cache: str | Path = CACHE) -> list[Shard]:
    """The shards that patterns stand for; by name in folders of globs, in the order given.

    Args:
        patterns: paths, globs, http(s) URLs, or `pipe:` and a shell command, each with lists in
            braces (`name-{0000..0063}.tar`).
        cache: folder that shards are fetched to.

    Raises:
        MissingShardError: one on a disk is missing, or a glob finds none.
        DataError: these are no patterns.
    """
    check_patterns("shards", patterns)
    check_path("cache", cache)
    shards: list[Shard] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            _check_ranges(pattern)
            names = [Shard(name, Path(cache)) for name in expand_urls(pattern)]
            for shard in names:
                shard.check_address()
        except ValueError as error:
            raise DataError(
                f"{pattern!r} cannot be read as a list of shards ({error}); correct the pattern"
            ) from error
        for shard in names:
            shards += [shard] if shard.is_remote else _on_disk(shard.address)
    return shards


def _check_ranges(pattern: str) -> None:
    """Refuse ranges in braces that would fill the memory."""
    for first, last in re.findall(r"(\d+)\.\.(\d+)", pattern):
        if len(first + last) > 40 or abs(int(last) - int(first)) >= MOST_SHARDS:
            raise ValueError(f"{first[:40]}..{last[:40]} are more than {MOST_SHARDS} shards")


def _on_disk(name: str) -> Iterator[Shard]:
    found = sorted(glob(name)) if has_magic(name) else [name]
    if not found:
        raise MissingShardError(f"no shard at {Path(name).absolute()}")
    for path in map(Path, found):
        if not path.is_file():
            hint = f", which is a folder; name those in it: {path}/*.tar" if path.is_dir() else ""
            raise MissingShardError(f"no shard at {path.absolute()}{hint}")
    yield from map(Shard, found)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the shard in errors of the system."""
    with system_errors_named(path):
        try:
            yield
        except FileNotFoundError as error:
            raise MissingShardError(f"no shard at {path.absolute()}") from error


@lru_cache(maxsize=64)
def index_of(path: Path) -> Index:
    """The index of a shard.

    Raises:
        DataError: it is not a whole tar file.
    """
    try:
        with _reading(path):
            members = scan_tar(path)
    except tarfile.TarError as error:
        fetched = path.with_suffix(".lock").exists()  # it is in a cache
        way_out = (
            "remove it, and it is fetched again"
            if fetched
            else "fetch or pack it again, or name another"
        )
        raise DataError(f"{path} is not a readable tar file ({error}); {way_out}") from error
    index = Index()
    current: tuple[str, Sizes] | None = None
    for name, start, size in members:
        key, extension = base_plus_ext(name)
        if key is None:
            continue
        if current is None or current[0] != key or extension.lower() in current[1]:
            if current is not None:
                index.add(*current)
            current = (key, {})
        current[1][extension.lower()] = (start, size)
    if current is not None:
        index.add(*current)
    return index


@lru_cache(maxsize=64)
def expected_members(path: Path) -> list[str]:
    """The optional members, `cls` and `mask.png`, of a shard's samples: all have them, or none."""
    present = {name for _, members in index_of(path) for name in members}
    return sorted(present & {"cls", "mask.png"})


def members_of(path: Path, position: int, names: Iterable[str]) -> dict[str, bytes]:
    """The content of those members of a shard's sample that have these extensions.

    Raises:
        ValueError: one is larger than any photograph, or cut off.
        DataError: the shard cannot be read.
    """
    _, members = index_of(path)[position]
    content = {}
    with _reading(path), path.open("rb") as file:
        for name in names:
            start, size = members[name]
            if size > MOST:
                raise ValueError(f"has a {name} of {size} bytes; {MOST} is the most")
            file.seek(start)
            content[name] = file.read(size)
            if len(content[name]) < size:
                raise ValueError(f"has a {name} that is cut off")
    return content
