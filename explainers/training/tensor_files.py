"""Small files of tensors in a folder, up to a limit: answers that would cost passes to get again."""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from explainers.errors import InputError, system_error_in_words

logger = logging.getLogger(__name__)

DIGEST = 16  # bytes


class TensorFiles:
    """Safetensors files by name, each there completely or not at all.

    Processes may share the folder. A full disk ends the writing, and not the training.

    Args:
        folder: it is made.
        room: bytes that may be added to it.
        what: the folder holds, for the warning that it is full.
        way_out: what to do about it, likewise.

    Attributes:
        closed: nothing is added any more.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, room: int, what: str, way_out: str) -> None:
        self.folder = folder
        self.room = room
        self.closed = False
        self._what, self._way_out = what, way_out
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{what} cannot be made: {system_error_in_words(error)}") from error

    def load(self, name: str) -> dict[str, Tensor] | None:
        """The tensors of a file; None if it is not there, or was cut short by a crash."""
        try:
            return load_file(self.folder / name)
        except (FileNotFoundError, SafetensorError):
            return None

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a file aside and then in place, if there is room."""
        if self.closed:
            return
        # Two may share memory, which safetensors refuses.
        apart = {
            key: value.detach().clone(memory_format=torch.contiguous_format)
            for key, value in tensors.items()
        }
        content = save(apart)
        self.room -= len(content)
        if self.room < 0:
            self._close("is full")
            return
        aside = self.folder / f"{name}.{os.getpid()}"
        try:
            aside.write_bytes(content)
            aside.replace(self.folder / name)
        except OSError as error:
            self._close(f"cannot be written ({error.strerror})")
            aside.unlink(missing_ok=True)

    def _close(self, reason: str) -> None:
        self.closed = True
        logger.warning(f"{self._what} {reason}, so {self._way_out}")


def room_in(folder: Path, limit: float, processes: int = 1) -> int:
    """Bytes that each process may add to the folders in a folder, up to a limit in GiB."""
    # What has a suffix is being written by another process.
    kept = (file for file in folder.glob("*/*") if not file.suffix)
    return int(limit * 2**30 - sum(file.stat().st_size for file in kept)) // processes


def pixel_digest(image: Tensor) -> str:
    """A name for an image (3 h w) that no other has."""
    pixels = image.detach().cpu().contiguous()
    digest = hashlib.blake2b(repr((pixels.dtype, *pixels.shape)).encode(), digest_size=DIGEST)
    digest.update(pixels.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
