"""Graceful stop on Ctrl-C and SIGTERM: finish the step, save, and say how to go on."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

STEPS_BETWEEN_NOTES = 16  # each time the device has to wait


class GracefulStop(Callback):
    """Turns the first Ctrl-C or SIGTERM of a fit into a checkpoint at the end of the running step.

    A SIGTERM to a test, validation or prediction, which has nothing to save, ends it at once.

    The checkpoint is `interrupted.ckpt` in the run's checkpoint folder; resuming from it ends
    with the weights of an uninterrupted run. A second signal stops at once.

    Where several processes train, one of them is enough to be asked (by `--signal=INT@120` of
    SLURM, say): they agree on the step after which all stop.

    Args:
        go_on: the command that resumes the run, for the last line; by default the option of
            train.py that names the checkpoint.
    """

    def __init__(self, go_on: str | None = None) -> None:
        self._go_on = go_on
        self._requested: int | None = None
        self._steps = 0
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the signals of an earlier fit."""
        self._requested = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over both signals; Lightning's own handler of SIGTERM, set before, is not called.

        It would make the processes of a run wait for each other in the wrong places.
        """
        self._handle(signal.SIGINT, self._request)
        self._handle(signal.SIGTERM, self._request)

    on_sanity_check_start = on_train_start

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over SIGTERM, unless a fit has done so."""
        if not self._previous:
            self._handle(signal.SIGTERM, self._leave)

    on_validation_start = on_test_start
    on_predict_start = on_test_start

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Save and leave, if asked to: with exit code 130 or, after SIGTERM, 143.

        Those are the shell's; a scheduler must not take the end for success.
        """
        if not self._agreed(trainer, self._requested is not None):
            return
        path = Path(trainer.log_dir or trainer.default_root_dir) / "checkpoints/interrupted.ckpt"
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            go_on = self._go_on or f"--ckpt_path {path}"
            print(f"\ninterrupted; go on with {go_on}", flush=True)
        terminated = self._any(trainer, self._requested == signal.SIGTERM)
        raise SystemExit(128 + (signal.SIGTERM if terminated else signal.SIGINT))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _agreed(self, trainer: Trainer, requested: bool) -> bool:
        """Whether any process was asked; they compare notes every few steps only."""
        if trainer.world_size == 1:
            return requested
        self._steps += 1
        return not self._steps % STEPS_BETWEEN_NOTES and self._any(trainer, requested)

    def _any(self, trainer: Trainer, own: bool) -> bool:
        """Whether something is true in any process; all of them have to ask."""
        if trainer.world_size == 1:
            return own
        return trainer.strategy.reduce_boolean_decision(own, all=False)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        """Set a handler where Python allows it: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            previous = signal.signal(number, handler)
            self._previous.setdefault(number, previous)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self._requested is not None:
            raise KeyboardInterrupt
        self._requested = number
        print("\nstopping after this step; Ctrl-C again to stop at once", flush=True)
