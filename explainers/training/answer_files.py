"""Answers to images on a disk, each known by the pixels of its image."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from explainers.training.masking_network import Readings

logger = logging.getLogger(__name__)

DIGEST = 16  # bytes of an image's name


class AnswerFiles:
    """Files of answers to images, one an image, named by the image's pixels.

    Args:
        folder: where they are; of one kind of answers.
        room: bytes that may be added to it.
        title: what the files are together, for messages.

    Attributes:
        asked: how many images were asked for.
        found: of how many of these the answers were there.
        closed: nothing is added any more.
    """

    def __init__(self, folder: Path, room: int, title: str = "feature cache") -> None:
        self.folder = folder
        self.room = room
        self.title = title
        self.asked = self.found = 0
        self.closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, images: Tensor, read: Callable[[Tensor], Readings]) -> Readings:
        """Answers to images (b 3 h w); `read` is asked only for those that are not here yet."""
        names = [_name(image) for image in images]
        known = {name: parts for name in names if (parts := self._load(name)) is not None}
        new = [index for index, name in enumerate(names) if name not in known]
        self.asked += len(names)
        self.found += len(names) - len(new)
        if new:
            logits, features = read(images[new])
            rows = zip(logits, *(maps.permute(0, 2, 3, 1) for maps in features), strict=True)
            for index, row in zip(new, rows, strict=True):
                known[names[index]] = list(row)
                self._keep(names[index], list(row))
        stacked = [
            torch.stack([part.to(images.device) for part in parts])
            for parts in zip(*(known[name] for name in names), strict=True)
        ]
        # As the networks give them: the channels last in memory.
        return stacked[0], [maps.permute(0, 3, 1, 2) for maps in stacked[1:]]

    def _load(self, name: str) -> list[Tensor] | None:
        try:
            parts = load_file(self.folder / name)
        except (FileNotFoundError, SafetensorError):  # not there, or cut short by a crash
            return None
        return [parts[str(index)] for index in range(len(parts))]

    def _keep(self, name: str, parts: list[Tensor]) -> None:
        if self.closed:
            return
        # Two stages may be one tensor, which safetensors refuses.
        apart = (part.clone(memory_format=torch.contiguous_format) for part in parts)
        content = save({str(index): part for index, part in enumerate(apart)})
        self.room -= len(content)
        if self.room < 0:
            self._close("is full")
            return
        aside = self.folder / f"{name}.{os.getpid()}"
        try:
            aside.write_bytes(content)
            aside.replace(self.folder / name)
        except OSError as error:  # the disk's end is not that of the training
            self._close(f"cannot be written ({error.strerror})")
            aside.unlink(missing_ok=True)

    def _close(self, reason: str) -> None:
        self.closed = True
        logger.warning(
            f"the {self.title} {reason}, so images that are not in {self.folder} are read each "
            "time; raise its limit, give it a disk with more room, or lower `crops` of the data"
        )


def room_in(folder: Path, limit: float, processes: int = 1) -> int:
    """Bytes that each process may add below a folder, of a limit in GiB for all that it holds."""
    kept = folder.glob(f"*/{'?' * 2 * DIGEST}")  # not what another process is writing
    used = sum(file.stat().st_size for file in kept)
    return int(limit * 2**30 - used) // processes


def _name(image: Tensor) -> str:
    """A name for an image (3 h w) that no other has."""
    pixels = image.detach().cpu().contiguous()
    digest = hashlib.blake2b(repr((pixels.dtype, *pixels.shape)).encode(), digest_size=DIGEST)
    digest.update(pixels.numpy().tobytes())
    return digest.hexdigest()
