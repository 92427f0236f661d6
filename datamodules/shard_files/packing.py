"""Packing of image files into shards: a plan for each shard, and the writing of it."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from datamodules.errors import DataError, UnreadableError
from datamodules.samples.image_files import decode_image
from datamodules.samples.image_listing import ImageFile
from datamodules.shard_files.durable import atomic_write
from datamodules.shard_files.tar_members import packed_size, room_for_samples, write_member

Member = tuple[str, bytes]


@dataclass(frozen=True)
class Plan:
    """A shard to be written: its path, and its images."""

    path: Path
    images: list[ImageFile]


@dataclass(frozen=True)
class Packed:
    """A shard that was written.

    Attributes:
        name: of its file.
        length: number of samples in it.
        left_out: unreadable images, with the reasons.
    """

    name: str
    length: int
    left_out: list[UnreadableError]


def shuffled(images: Iterable[ImageFile], seed: int) -> list[ImageFile]:
    """Images in an order that depends on the seed and their keys alone."""
    return sorted(images, key=lambda image: sha256(f"{seed} {image.key}".encode()).digest())


def split_into_shards(
    images: list[ImageFile], folder: Path, split: str, max_size: int
) -> list[Plan]:
    """Fill shards one after the other.

    Args:
        images: in the order in which they will be read.
        folder: of the shards.
        split: how their names begin.
        max_size: of a shard, in bytes; only one that holds a single image is larger.
    """
    parts: list[list[ImageFile]] = []
    filled = 0
    room = room_for_samples(max_size)
    for image in images:
        size = _packed_size(image)
        if not parts or filled + size > room:
            parts.append([])
            filled = 0
        parts[-1].append(image)
        filled += size
    return [Plan(folder / f"{split}-{number:06d}.tar", part) for number, part in enumerate(parts)]


def pack(plan: Plan) -> Packed:
    """Write a shard, read it back, and only then give it its name; keep one that is there.

    Raises:
        DataError: the shard that is there, or that was read back, is not of these images.
        OSError: the disk is full, or the like.
    """
    if plan.path.exists():
        return _kept(plan)
    written: list[Member] = []
    left_out: list[UnreadableError] = []
    with atomic_write(plan.path) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content in _members(plan, left_out):
                write_member(tar, name, content)
                written.append((name, sha256(content).digest()))
        file.flush()
        file.seek(0)
        if list(_digests(file)) != written:
            raise DataError(f"{plan.path} reads back other than it was written; check the disk")
    return Packed(plan.path.name, len(plan.images) - len(left_out), left_out)


def _kept(plan: Plan) -> Packed:
    """The shard of an earlier run, if this one would write the same."""
    left_out: list[UnreadableError] = []
    with plan.path.open("rb") as file:
        there = _digests(file)
        present = next(there, None)
        for name, content in _members(plan, left_out):
            if present != (name, sha256(content).digest()):
                raise _other(plan.path)
            present = next(there, None)
    if present is not None:
        raise _other(plan.path)
    return Packed(plan.path.name, len(plan.images) - len(left_out), left_out)


def _other(path: Path) -> DataError:
    return DataError(
        f"{path} exists and does not hold what this run would write there; remove it, or choose "
        "another --output or --split"
    )


def _members(plan: Plan, left_out: list[UnreadableError]) -> Iterator[Member]:
    """The members of all samples, one after the other; adds to `left_out` what has none."""
    for image in plan.images:
        try:
            members = _members_of(image)
        except UnreadableError as error:
            left_out.append(error)
        else:
            yield from members


def _members_of(image: ImageFile) -> list[Member]:
    """The members of a sample, the files as they are, if they can be decoded."""
    extension = image.path.suffix[1:].lower()
    content = image.path.read_bytes()
    members = [(f"{image.key}.{'jpg' if extension in ('jpeg', 'jfif') else extension}", content)]
    try:
        size = decode_image(content, "RGB").size
        if image.mask is not None:
            mask = image.mask.read_bytes()
            if decode_image(mask, "L").size != size:
                raise ValueError(f"is of another size than its mask {image.mask.name}")
            members.append((f"{image.key}.mask.png", mask))
    except ValueError as error:
        raise UnreadableError(str(image.path.parent), image.path.name, str(error)) from error
    if image.label is not None:
        members.append((f"{image.key}.cls", str(image.label).encode()))
    return members


def _digests(file: BinaryIO) -> Iterator[Member]:
    """The name and SHA-256 of each member."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                yield member.name, sha256(content.read() if content else b"").digest()
    except tarfile.TarError as error:
        raise DataError(f"{file.name} is not a readable tar file ({error}); remove it") from error


def _packed_size(image: ImageFile) -> int:
    files = [image.path] if image.mask is None else [image.path, image.mask]
    sizes = [file.stat().st_size for file in files]
    return packed_size(image.key, sizes if image.label is None else [*sizes, 1])
