"""Images into WebDataset shards: `python -m datamodules.pack --images FOLDER --output SHARDS`.

The images are a folder of one folder a class, a folder of images, or a list with a path (and a
class) a line; `NAME.mask.png` beside `NAME.jpg` is its mask. Files are copied as they are, in a
shuffled order that is the same in every run. Run it again to go on after an interruption.
`python -m datamodules.pack --check SHARDS` audits shards.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import DataError, system_error, system_errors_named
from datamodules.samples.checks import check_path, check_seed
from datamodules.samples.image_listing import find_images
from datamodules.shard_files.audit import Audit, audit_shard, shards_of
from datamodules.shard_files.byte_sizes import size_in_bytes
from datamodules.shard_files.durable import new_folder, partial_path
from datamodules.shard_files.info import Info, SplitInfo, read_info, write_info
from datamodules.shard_files.names import check_split
from datamodules.shard_files.packing import Packed, Plan, pack, shuffled, split_into_shards
from datamodules.shard_files.process_pool import exclusive_lock, in_parallel


def pack_all(
    images: Path, output: Path, split: str, max_size: int, workers: int, seed: int | None
) -> list[Packed]:
    """Write all shards of a split and its entry in `_info.json`.

    Args:
        images: a folder or a list, as `find_images` takes it.
        output: folder of the shards.
        split: how their names begin.
        max_size: of a shard, in bytes.
        workers: processes that write shards.
        seed: of the order; None to leave the images in theirs.

    Raises:
        DataError: the images or what is in the output cannot be used.
    """
    check_split(split)
    found, classes = find_images(images)
    with system_errors_named(output), new_folder(output), exclusive_lock(output):
        info = read_info(output)
        _check_classes(info, split, classes)
        ordered = found if seed is None else shuffled(found, seed)
        plans = split_into_shards(ordered, output, split, max_size)
        _check_others(output, split, plans)
        done = dict(in_parallel(pack, plans, workers, lambda plan: len(plan.images)))
        packed = [done[number] for number in range(len(plans))]
        if not any(one.length for one in packed):
            for plan in plans:
                plan.path.unlink()  # they hold nothing
            raise packed[0].left_out[0]
        entry: SplitInfo = {
            "name": split,
            "num_samples": sum(one.length for one in packed),
            "filenames": [one.name for one in packed],
            "shard_lengths": [one.length for one in packed],
        }
        if classes:
            entry["classes"] = classes
        info["splits"][split] = entry
        write_info(output, info)
    return packed


def check_all(patterns: Sequence[str], workers: int) -> list[str]:
    """Print the number of samples in shards, and return their faults, a line each."""
    audit = Audit(shards_of(patterns))
    found = dict(in_parallel(audit_shard, audit.paths, workers, lambda path: 1, "shard"))
    faults = audit.faults([found[number] for number in range(len(audit.paths))])
    print(f"samples: {audit.samples}, {audit.labelled} with a class; shards: {len(audit.paths)}")
    return faults


def _check_classes(info: Info, split: str, classes: list[str] | None) -> None:
    """Refuse a split whose labels would mean other classes than those of its neighbours."""
    for name, other in info["splits"].items():
        theirs = other.get("classes")
        if name != split and classes and theirs and theirs != classes:
            differing = sorted(set(map(str, theirs)) ^ set(classes)) or classes
            raise DataError(
                f"the split {name} has other folders of classes ({differing[0]!r} is in one "
                "only), so that labels would not mean the same; give both the same folders"
            )


def _check_others(folder: Path, split: str, plans: list[Plan]) -> None:
    """Refuse other shards of this split's name; remove the partial files of a killed run."""
    written = {plan.path for plan in plans}
    for plan in plans:
        partial_path(plan.path).unlink(missing_ok=True)
    others = set(folder.glob(f"{split}-[0-9]*.tar")) - written
    if others:
        raise DataError(
            f"{min(others)} is of another run with this --split; remove it, or choose another "
            "--output or --split"
        )


def _bytes(text: str) -> int:
    try:
        return size_in_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes, at least 1")
    return int(text)


def _path(text: str) -> Path:
    try:
        check_path("it", text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def _seed(text: str) -> int:
    try:
        check_seed(int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return int(text)


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:  # noqa: ANN401  never returns
        raise DataError(f"{message}; see {self.prog} --help")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _OneLineParser(prog="python -m datamodules.pack", description=__doc__)
    parser.add_argument("--images", type=_path, metavar="FOLDER", help="a folder or a list")
    parser.add_argument("--output", type=_path, metavar="SHARDS", help="folder of the shards")
    parser.add_argument("--split", help="how their names begin; by default the images' folder")
    parser.add_argument("--max-size", type=_bytes, default="256M", help="of a shard in bytes")
    parser.add_argument("--workers", type=_count, default=os.cpu_count(), help="processes")
    parser.add_argument("--seed", type=_seed, default=0, help="of the order")
    parser.add_argument("--in-order", action="store_true", help="do not shuffle")
    parser.add_argument("--check", nargs="+", metavar="SHARDS", help="folders, paths, patterns")
    arguments = parser.parse_args(argv)
    if bool(arguments.check) == bool(arguments.images and arguments.output):
        raise DataError("give --images and --output to write shards, or --check to audit them")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    try:
        arguments = _parse(argv)
        if arguments.check:
            faults = check_all(arguments.check, arguments.workers)
            print(*faults, sep="\n", end="\n" if faults else "")
            return _end(f"faults: {len(faults)}" if faults else None)
        split = arguments.images.absolute().stem if arguments.split is None else arguments.split
        seed = None if arguments.in_order else arguments.seed
        packed = pack_all(
            arguments.images, arguments.output, split, arguments.max_size, arguments.workers, seed
        )
    except DataError as error:
        return _end(str(error))
    except OSError as error:
        return _end(str(system_error(error, Path.cwd())))
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130
    left_out = [error for one in packed for error in one.left_out]
    print(*left_out, sep="\n", end="\n" if left_out else "")
    count = sum(one.length for one in packed)
    print(f"samples: {count}; shards: {len(packed)}, {arguments.output / split}-*.tar")
    return _end(f"left out {len(left_out)} that cannot be read" if left_out else None)


def _end(error: str | None) -> int:
    if error is None:
        return 0
    print(f"error: {' '.join(error.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
