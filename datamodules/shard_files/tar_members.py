"""Members of the tar files that are written here: their form and their size."""

import io
import tarfile
from collections.abc import Iterable

PLAIN_KEY = 90  # characters; with `.mask.png` behind it, a name of 100 fits into one header


def write_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a member that is the same whoever writes it, and whenever."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(content))


def packed_size(key: str, sizes: Iterable[int]) -> int:
    """Bytes that a sample takes in a tar file, at most, from its key and its members' sizes."""
    sizes = list(sizes)
    blocks = sum(1 + -(-size // tarfile.BLOCKSIZE) for size in sizes)
    if len(key) >= PLAIN_KEY or not key.isascii():
        blocks += 3 * len(sizes)  # such a name takes two more blocks, or three
    return blocks * tarfile.BLOCKSIZE


def room_for_samples(max_size: int) -> int:
    """Bytes that all samples of a tar file may take, so that it is no larger than that."""
    whole_records = max_size // tarfile.RECORDSIZE * tarfile.RECORDSIZE
    return whole_records - 2 * tarfile.BLOCKSIZE  # the end of an archive
