"""Audit of shards: unreadable samples, duplicate keys, wrong counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError
from datamodules.samples.image_files import EXTENSIONS, decode_image
from datamodules.samples.labels import label_of
from datamodules.shard_files.index import find_shards, index_of, members_of
from datamodules.shard_files.info import INFO, lengths_of, parse_info


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
        counted = Counter(key for report in reports for key in report.keys)
        for path, report in zip(self.paths, reports, strict=True):
            twice = sorted({key for key in report.keys if counted[key] > 1})
            faults += [f"{path}: sample {key!r} is there {counted[key]} times" for key in twice]
        lengths = {path: len(report.keys) for path, report in zip(self.paths, reports, strict=True)}
        for folder in sorted({path.parent for path in self.paths}):
            faults += _faults_of_info(folder / INFO, lengths)
        return faults


def _faults_of_info(path: Path, lengths: dict[Path, int]) -> list[str]:
    if not path.is_file():
        return [f"{path} is not there; without it every run has to count the samples"]
    faults = []
    named: set[Path] = set()
    try:
        info = parse_info(path.read_bytes())
    except ValueError as error:
        return [f"{path} cannot be used ({error})"]
    for name, split in info["splits"].items():
        recorded = lengths_of(split)
        named |= {path.parent / file for file in recorded}
        for file, length in recorded.items():
            shard = path.parent / file
            if not shard.is_file():
                faults.append(f"{path} names {file}, which is not there")
            elif shard in lengths and lengths[shard] != length:
                faults.append(f"{shard} holds {lengths[shard]} samples, {path} says {length}")
        if split.get("num_samples") != sum(map(int, split["shard_lengths"])):
            faults.append(f"{path}: num_samples of {name} is not the sum of shard_lengths")
    mine = {shard for shard in lengths if shard.parent == path.parent}
    return faults + [f"{shard} is not in {path}" for shard in sorted(mine - named)]


def shards_of(patterns: Sequence[str]) -> list[Path]:
    """The shards that folders hold, and those that patterns stand for.

    Raises:
        DataError: there are none.
    """
    paths = []
    for pattern in patterns:
        found = sorted(Path(pattern).glob("*.tar")) if Path(pattern).is_dir() else None
        if found == []:
            raise DataError(f"no shard, a file that ends in .tar, in {Path(pattern).absolute()}")
        paths += found or [shard.path for shard in find_shards(pattern)]
    return paths
