"""The `_info.json` beside shards, in timm's form: the shards of each split and their lengths.

Entries that are not ours are kept as they are when a split is added.
"""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from datamodules.errors import DataError, MissingShardError
from datamodules.shard_files.durable import atomic_write
from datamodules.shard_files.fetching import REMOTE, Shard, from_http, persistently

INFO = "_info.json"


class SplitInfo(TypedDict):
    """The entry of a split.

    `classes` are the folders of the classes, in the order of their labels. `ShardWriter` goes
    on from `settings`, `position` and `left_out`.
    """

    name: NotRequired[str]
    num_samples: NotRequired[int]
    filenames: list[str]
    shard_lengths: list[int]
    classes: NotRequired[list[str]]
    settings: NotRequired[dict[str, Any]]
    position: NotRequired[int]
    left_out: NotRequired[dict[str, str]]


class Info(TypedDict):
    """The content of an `_info.json`."""

    splits: dict[str, SplitInfo]


def parse_info(text: str | bytes) -> Info:
    """Read the text of an `_info.json`.

    Raises:
        ValueError: it does not give the names and lengths of the shards of each split.
    """
    try:
        info: Info = json.loads(text)
        for split in info["splits"].values():
            lengths_of(split)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return info


def lengths_of(split: SplitInfo) -> dict[str, int]:
    """The number of samples in each shard of a split, by the shard's name."""
    pairs = zip(split["filenames"], split["shard_lengths"], strict=True)
    return {name: int(length) for name, length in pairs}


def read_info(folder: Path) -> Info:
    """Read the `_info.json` of a folder; where there is none, there are no splits.

    Raises:
        DataError: there is such a file, and it cannot be used.
    """
    path = folder / INFO
    if not path.is_file():
        return {"splits": {}}
    try:
        return parse_info(path.read_bytes())
    except ValueError as error:
        raise DataError(
            f"{path} has no splits to add to ({error}); correct or remove it"
        ) from error


def write_info(folder: Path, info: Info) -> None:
    """Put the `_info.json` of a folder in place, all of it or nothing."""
    with atomic_write(folder / INFO) as file:
        file.write((json.dumps(info, indent=2) + "\n").encode())


def recorded_lengths(shards: Iterable[Shard]) -> Iterator[int | None]:
    """The number of samples in each shard, where the `_info.json` beside it tells; or None.

    Raises:
        DataError: there is such a file and it does not.
    """
    lengths: dict[str, dict[str, int]] = {}
    for shard in shards:
        address = shard.beside(INFO)
        if address is None:
            yield None
            continue
        if address not in lengths:
            lengths[address] = _lengths_at(address)
        yield lengths[address].get(shard.name)


def _lengths_at(address: str) -> dict[str, int]:
    """The lengths of all splits; none where there is no file."""
    text = _text_at(address)
    if text is None:
        return {}
    try:
        splits = parse_info(text)["splits"].values()
    except ValueError as error:
        raise DataError(
            f"{address} does not give filenames and shard_lengths of splits ({error}); "
            "correct it, or remove it to have samples counted"
        ) from error
    return {name: length for split in splits for name, length in lengths_of(split).items()}


def _text_at(address: str) -> bytes | None:
    """The content of a file or URL; None if it is not there."""
    if not address.startswith(REMOTE):
        path = Path(address)
        return path.read_bytes() if path.is_file() else None
    answer = io.BytesIO()

    def attempt() -> None:
        answer.seek(0)
        answer.truncate()
        from_http(address, answer)

    try:
        persistently(attempt, address)
    except MissingShardError:
        return None
    return answer.getvalue()
