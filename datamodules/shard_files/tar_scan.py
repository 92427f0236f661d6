"""Reading of a tar file's headers: the place of each member, and proof that none is missing."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = tarfile.BLOCKSIZE
Member = tuple[str, int, int]
"""Name, start and size in bytes."""

NAMES = "backslashreplace"  # of bytes that are no UTF-8: such a name can be printed and logged


def scan_tar(path: Path) -> list[Member]:
    """Name, start and size of each file of an archive.

    Raises:
        tarfile.TarError: it is not a whole archive: cut off, damaged, or followed by more data.
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        members, end = _plain_members(file.fileno(), size)
        if members is None:
            members, end = _all_members(path, size)
        _check_end(file.fileno(), end, size)
    return members


def _plain_members(handle: int, size: int) -> tuple[list[Member] | None, int]:
    """The members and where they end; None if any is more than a plain file of a short name.

    30 times as fast as `tarfile`, whose time would show: every worker reads every shard's index.
    """
    members = []
    offset = 0
    while any(header := os.pread(handle, BLOCK, offset)):
        if len(header) < BLOCK:
            break
        try:
            one = tarfile.TarInfo.frombuf(header, "utf-8", NAMES)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {offset}") from error
        if not one.isreg() or one.issparse():
            return None, 0
        offset += BLOCK
        members.append(_within(one, offset, size))
        offset += -(-one.size // BLOCK) * BLOCK
    return members, offset


def _all_members(path: Path, size: int) -> tuple[list[Member], int]:
    """As `_plain_members`, of archives of any kind."""
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors=NAMES) as shard:
            return list(_files(shard, size)), shard.offset
    except (tarfile.TarError, OSError):
        raise
    # Of damaged headers, tarfile raises whatever its conversions raise.
    except Exception as error:
        raise tarfile.ReadError(f"damaged header: {error or type(error).__name__}") from error


def _files(shard: tarfile.TarFile, size: int) -> Iterator[Member]:
    before = -1
    for one in shard:
        if one.offset <= before:  # it would go round for ever
            raise tarfile.ReadError(f"member {one.name!r} leads backwards")
        before = one.offset
        place = _within(one, one.offset_data, size)
        if one.isfile():
            yield place


def _within(one: tarfile.TarInfo, start: int, size: int) -> Member:
    if one.size < 0:
        raise tarfile.ReadError(f"member {one.name!r} has a negative size, {one.size}")
    if one.isreg() and not one.issparse() and start + one.size > size:
        raise tarfile.ReadError(f"unexpected end of data in member {one.name!r}")
    return one.name, start, one.size


def _check_end(handle: int, offset: int, size: int) -> None:
    """Refuse an archive that does not end with zeros alone: members behind would be lost."""
    if offset + BLOCK > size:
        raise tarfile.ReadError("unexpected end of data")
    if any(os.pread(handle, BLOCK, offset)):
        raise tarfile.ReadError(f"damaged header at byte {offset}")
    while rest := os.pread(handle, 1 << 20, offset):
        if any(rest):
            raise tarfile.ReadError(
                f"data behind the end of the archive, which is at byte {offset}"
            )
        offset += len(rest)
