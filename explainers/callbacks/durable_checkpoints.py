"""Durable checkpoints: each is there completely or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from explainers.durable_files import write_aside
from explainers.errors import InputError
from explainers.training.checkpoint_files import read_checkpoint


class DurableCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint aside, and gives it its name when all of it is on the disk.

    Lightning's own may copy it into place from another disk, and does not wait for the disk; and
    it unpickles whatever a remote checkpoint holds.
    """

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ANN401  Lightning's own
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a local checkpoint; tensors and plain values only, whatever `weights_only` says.

        Raises:
            InputError: as `checkpoint_files.read_checkpoint`.
        """
        return read_checkpoint(path)

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401  Lightning's own
    ) -> None:
        """Write it.

        Raises:
            InputError: the disk is full, or the like.
        """
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            write_aside(Path(path), content.getvalue())
        except OSError as error:
            raise InputError(
                f"cannot write the checkpoint {path} ({error.strerror or error}); free some space "
                "and go on with --ckpt_path and an earlier one"
            ) from error
