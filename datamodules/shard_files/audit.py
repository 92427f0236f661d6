"""Audit of shards: unreadable samples, duplicate keys, wrong counts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError, system_errors_named
from datamodules.samples.checks import check_patterns
from datamodules.samples.image_files import EXTENSIONS, decode_image
from datamodules.samples.labels import label_of
from datamodules.shard_files.index import find_shards, index_of, members_of
from datamodules.shard_files.info import INFO, Info, lengths_of, parse_info
from datamodules.shard_files.names import check_key


@dataclass(frozen=True)
class ShardReport:
    """Result of the audit of one shard.

    Attributes:
        keys: of its samples, in order.
        labelled: number of those that have a class.
        faults: a line each.
    """

    keys: list[str]
    labelled: int
    faults: list[str]


def audit_shard(path: Path) -> ShardReport:
    """Decode all members of a shard."""
    try:
        index = index_of(path)
    except DataError as error:
        return ShardReport([], 0, [str(error)])
    faults = []
    for position, (key, members) in enumerate(index):
        pictures = [name for name in members if name.rpartition(".")[2] in EXTENSIONS]
        try:
            check_key(key)
            if not any(name in EXTENSIONS for name in pictures):
                raise ValueError(f"has no image, only {', '.join(members)}")
            content = members_of(path, position, [*pictures, *(members.keys() & {"cls"})])
            if "cls" in content:
                label_of(content["cls"])
            for name in pictures:
                try:
                    decode_image(content[name], "RGB")
                except ValueError as error:
                    raise ValueError(f"has a {name} that {error}") from error
        except ValueError as error:
            faults.append(f"{path}: sample {key!r} {error}")
    labelled = sum("cls" in members for _, members in index)
    if 0 < labelled < len(index):
        without = next(key for key, members in index if "cls" not in members)
        faults.append(f"{path}: sample {without!r} has no class, and others have")
    return ShardReport([key for key, _ in index], labelled, faults)


class Audit:
    """Puts the results of several shards together.

    Args:
        paths: of the shards.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.samples = 0
        self.labelled = 0

    def faults(self, reports: Sequence[ShardReport]) -> list[str]:
        """All faults of the shards, from their reports in the same order."""
        self.samples = sum(len(report.keys) for report in reports)
        self.labelled = sum(report.labelled for report in reports)
        faults = [fault for report in reports for fault in report.faults]
        keys = {path: report.keys for path, report in zip(self.paths, reports, strict=True)}
        lengths = {path: len(ours) for path, ours in keys.items()}
        for folder in sorted({path.parent for path in self.paths}):
            info, faults_of_info = _read_info(folder / INFO)
            mine = [path for path in keys if path.parent == folder]
            for paths in _splits(mine, info):
                faults += _repeated({path: keys[path] for path in paths})
            faults += faults_of_info or _faults_of_info(folder / INFO, info, lengths)
        return faults


def _read_info(path: Path) -> tuple[Info, list[str]]:
    """The content of an `_info.json`, or none and its fault."""
    none: Info = {"splits": {}}
    try:
        return parse_info(path.read_bytes()), []
    except FileNotFoundError:
        return none, [f"{path} is not there; without it every run has to count the samples"]
    except (ValueError, OSError) as error:
        return none, [f"{path} cannot be used ({error})"]


def _splits(paths: Sequence[Path], info: Info) -> list[list[Path]]:
    """The shards of one folder by split: as `_info.json` says, else by their numbered names."""
    named = [set(lengths_of(split)) for split in info["splits"].values()]
    splits = [[path for path in paths if path.name in names] for names in named]
    others: dict[str, list[Path]] = {}
    for path in paths:
        if not any(path.name in names for names in named):
            numbered = re.fullmatch(r"(.+?)[-_]?[0-9]+", path.stem)
            others.setdefault(numbered[1] if numbered else "", []).append(path)
    return [*splits, *others.values()]


def _repeated(keys: dict[Path, list[str]]) -> list[str]:
    """A line for each key that is more than once in a split, and each of its shards."""
    counted = Counter(key for ours in keys.values() for key in ours)
    return [
        f"{path}: sample {key!r} is there {counted[key]} times"
        for path, ours in keys.items()
        for key in sorted({key for key in ours if counted[key] > 1})
    ]


def _faults_of_info(path: Path, info: Info, lengths: dict[Path, int]) -> list[str]:
    faults = []
    named: set[Path] = set()
    for name, split in info["splits"].items():
        recorded = lengths_of(split)
        named |= {path.parent / file for file in recorded}
        for file, length in recorded.items():
            shard = path.parent / file
            if not shard.is_file():
                faults.append(f"{path} names {file}, which is not there")
            elif shard in lengths and lengths[shard] != length:
                faults.append(f"{shard} holds {lengths[shard]} samples, {path} says {length}")
        if split.get("num_samples") != sum(split["shard_lengths"]):
            faults.append(f"{path}: num_samples of {name} is not the sum of shard_lengths")
    mine = {shard for shard in lengths if shard.parent == path.parent}
    return faults + [f"{shard} is not in {path}" for shard in sorted(mine - named)]


def shards_of(patterns: Sequence[str]) -> list[Path]:
    """The shards that folders hold, and those that patterns stand for.

    Raises:
        DataError: there are none.
    """
    paths: list[Path] = []
    for pattern in patterns:
        check_patterns("shards", pattern)
        with system_errors_named(Path(pattern)):
            found = sorted(Path(pattern).glob("*.tar")) if Path(pattern).is_dir() else None
        if found == []:
            raise DataError(f"no shard, a file that ends in .tar, in {Path(pattern).absolute()}")
        paths += found or [shard.path for shard in find_shards(pattern)]
    return list(dict.fromkeys(paths))
