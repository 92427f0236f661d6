"""Tar files on a local disk: which ones a pattern means, what is in them, and where.

Whatever fetches shards from elsewhere has to do it here, before a shard's index is read.
"""

import json
import tarfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from glob import glob, has_magic
from itertools import groupby
from pathlib import Path

from webdataset.shardlists import expand_urls
from webdataset.tariterators import base_plus_ext


def find_shards(patterns: str | Sequence[str]) -> list[Path]:
    """The files that patterns stand for; by name in folders of globs, in the order given.

    Raises:
        FileNotFoundError: one is missing, or a glob finds none.
    """
    paths = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for name in expand_urls(pattern):
            found = sorted(glob(name)) if has_magic(name) else [name]
            if not found or not Path(found[0]).is_file():
                raise FileNotFoundError(f"no shard at {Path(name).absolute()}")
            paths += [Path(path) for path in found]
    return paths


@lru_cache(maxsize=64)
def index_of(path: Path) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """Each sample's key, and where the bytes of its members start and how many they are."""
    try:
        with tarfile.open(path, "r:") as shard:
            files = [member for member in shard if member.isfile()]
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a readable tar file ({error}); fetch it again") from error
    named = [(*base_plus_ext(file.name), file) for file in files]
    return [
        (key, {extension: (file.offset_data, file.size) for _, extension, file in members})
        for key, members in groupby(named, key=lambda entry: entry[0])
    ]


def members_of(path: Path, position: int, names: Iterable[str]) -> dict[str, bytes]:
    """The content of those members of a shard's sample that have these extensions."""
    _, members = index_of(path)[position]
    content = {}
    with path.open("rb") as file:
        for name in names:
            start, size = members[name]
            file.seek(start)
            content[name] = file.read(size)
    return content


def recorded_lengths(folder: Path) -> dict[str, int]:
    """The number of samples in each shard of a folder, where its _info.json tells."""
    path = folder / "_info.json"
    if not path.is_file():
        return {}
    try:
        return {
            name: length
            for split in json.loads(path.read_text())["splits"].values()
            for name, length in zip(split["filenames"], split["shard_lengths"], strict=True)
        }
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path} does not give filenames and shard_lengths of splits "
            f"({type(error).__name__}: {error}); correct it, or remove it to have samples counted"
        ) from error
