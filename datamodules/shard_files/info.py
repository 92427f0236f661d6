"""The `_info.json` beside shards, in timm's form: the shards of each split and their lengths.

Entries that are not ours are kept as they are when a split is added.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from datamodules.errors import DataError, MissingShardError, system_errors_named
from datamodules.shard_files.durable import atomic_write
from datamodules.shard_files.fetching import REMOTE, Shard, from_http, persistently
from datamodules.shard_files.names import leads_outside

INFO = "_info.json"
MOST_SAMPLES = 2**40  # of a shard


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
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    splits = info.get("splits") if isinstance(info, dict) else None
    _require(isinstance(splits, dict), "no 'splits', an object with an entry for each split")
    recorded: dict[str, int] = {}
    for name, split in info["splits"].items():
        try:
            lengths = _checked_lengths(split)
            for file, length in lengths.items():
                known = recorded.setdefault(file, length)
                _require(known == length, f"{file!r} has another length in another split")
        except ValueError as error:
            raise ValueError(f"split {name!r}: {error}") from error
    return info


def _checked_lengths(split: SplitInfo) -> dict[str, int]:
    """The lengths of a split's shards; ValueError if the entry does not tell them."""
    _require(isinstance(split, dict), f"{split!r:.40} is no object")
    for field in ("filenames", "shard_lengths"):
        _require(isinstance(split.get(field), list), f"{field} is no list")
    names, lengths = split["filenames"], split["shard_lengths"]
    counts = f"{len(names)} filenames and {len(lengths)} shard_lengths"
    _require(len(names) == len(lengths), counts)
    for name in names:
        inside = isinstance(name, str) and bool(name) and not leads_outside(name)
        _require(inside, f"{name!r:.80} is no file name in this folder")
    for length in lengths:
        whole = isinstance(length, int) and not isinstance(length, bool)
        _require(whole and 0 <= length <= MOST_SAMPLES, f"{length!r:.40} is no number of samples")
    recorded = lengths_of(split)
    _require(len(recorded) == len(names), "filenames names a shard twice")
    return recorded


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def lengths_of(split: SplitInfo) -> dict[str, int]:
    """The number of samples in each shard of a split, by the shard's name."""
    return dict(zip(split["filenames"], split["shard_lengths"], strict=True))


def read_info(folder: Path) -> Info:
    """Read the `_info.json` of a folder; where there is none, there are no splits.

    Raises:
        DataError: there is such a file, and it cannot be used.
    """
    path = folder / INFO
    if not path.is_file():
        return {"splits": {}}
    with system_errors_named(path):
        text = path.read_bytes()
    try:
        return parse_info(text)
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


def recorded_classes(shards: Sequence[Shard]) -> list[str] | None:
    """Names of the classes of the first shard's split, where the `_info.json` beside it tells them.

    Raises:
        DataError: there is such a file and it cannot be used.
    """
    address = shards[0].beside(INFO)
    for split in _splits_at(address) if address else ():
        names = split.get("classes")
        if shards[0].name in split["filenames"] and isinstance(names, list):
            return [str(name) for name in names]
    return None


def _lengths_at(address: str) -> dict[str, int]:
    """The lengths of all splits; none where there is no file."""
    splits = _splits_at(address)
    return {name: length for split in splits for name, length in lengths_of(split).items()}


def _splits_at(address: str) -> list[SplitInfo]:
    """The entries of all splits; none where there is no file."""
    text = _text_at(address)
    if text is None:
        return []
    try:
        return list(parse_info(text)["splits"].values())
    except ValueError as error:
        raise DataError(
            f"{address} does not give filenames and shard_lengths of splits ({error}); "
            "correct it, or remove it to have samples counted"
        ) from error


def _text_at(address: str) -> bytes | None:
    """The content of a file or URL; None if it is not there."""
    if not address.startswith(REMOTE):
        path = Path(address)
        with system_errors_named(path):
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
