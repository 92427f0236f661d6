"""Graceful stop on Ctrl-C: finish the step, save, and say how to go on."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

STEPS_BETWEEN_NOTES = 16  # each time the device has to wait


class GracefulStop(Callback):
    """Turns the first Ctrl-C of a fit into a checkpoint at the end of the running step.

    The checkpoint is `interrupted.ckpt` in the run's checkpoint folder; resuming from it ends
    with the weights of an uninterrupted run. A second Ctrl-C stops at once.

    Where several processes train, one of them is enough to be asked (by `--signal=INT@120` of
    SLURM, say): they agree on the step after which all stop.
    """

    def __init__(self) -> None:
        self._requested = False
        self._steps = 0
        self._previous: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C, where Python allows it: in the main thread."""
        self._requested = False
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Save and leave, if asked to."""
        if not self._agreed(trainer):
            return
        path = Path(trainer.log_dir or trainer.default_root_dir) / "checkpoints/interrupted.ckpt"
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            print(f"\ninterrupted; go on with --ckpt_path {path}", flush=True)
        raise KeyboardInterrupt

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give Ctrl-C back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _agreed(self, trainer: Trainer) -> bool:
        """Whether any process was asked; they compare notes every few steps only."""
        if trainer.world_size == 1:
            return self._requested
        self._steps += 1
        if self._steps % STEPS_BETWEEN_NOTES:
            return False
        return trainer.strategy.reduce_boolean_decision(self._requested, all=False)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
        print("\nstopping after this step; Ctrl-C again to stop at once", flush=True)
