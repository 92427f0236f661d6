"""Wall-clock time of a training, over all the fits that it is made of."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from explainers.bundle.training_record import training_of
from explainers.evaluation.costs import NO_TRAINING, Training, device_name

STEPS, SECONDS = "fit/steps", "fit/seconds"


class TrainingClock(Callback):
    """Adds up the seconds of a training's fits; its checkpoints carry the sum from one to the next.

    Validation is part of it. What a fit did after the checkpoint that the next one goes on from is
    not. Of a fit whose processes were forked off, the first process learns by `take_over`.

    Attributes:
        start: what it took to train the bundle that this training was started from, if any.
    """

    def __init__(self) -> None:
        self.start: Training | None = None
        self._earlier: Training | None = None
        self._began: float | None = None
        self._device = ""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin, where this is a fit."""
        if stage != "fit":
            return
        self._earlier = self._earlier or NO_TRAINING
        self._began = time.monotonic()
        self._device = device_name(trainer.strategy.root_device, trainer.world_size)
        bundle = pl_module.hparams.get("init_from")
        self.start = training_of(bundle) if bundle else None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop, and leave steps and seconds among the metrics, which forked processes hand back."""
        self._earlier, self._began = self._spent, None
        trainer.callback_metrics[STEPS] = torch.tensor(float(trainer.global_step))
        if self._earlier.seconds is not None:
            trainer.callback_metrics[SECONDS] = torch.tensor(
                self._earlier.seconds, dtype=torch.float64
            )

    def take_over(self, trainer: Trainer) -> int:
        """Learn from the processes of a fit what they spent; returns the steps of the training."""
        metrics = trainer.callback_metrics
        if self._earlier is None and SECONDS in metrics:
            device = device_name(trainer.strategy.root_device, trainer.world_size)
            self._earlier = Training(float(metrics[SECONDS]), device)
        return int(metrics.get(STEPS, torch.tensor(trainer.global_step)))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Carry on what was spent."""
        checkpoint["training"] = self.record

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add to what was spent; that of an earlier version's checkpoint is not known."""
        if self._began is None:  # not for a fit
            return
        record = checkpoint.get("training", {})
        self._earlier = Training.of_record(record)
        if record:  # the bundle need not be there, or named, any more
            self.start = Training.of_record(record["start"]) if "start" in record else None

    @property
    def record(self) -> dict[str, Any]:
        """Values for config.json: `seconds`, `device` and, where there is one, `start`."""
        record = self._spent.record
        return record if self.start is None else record | {"start": self.start.record}

    @property
    def _spent(self) -> Training:
        earlier = self._earlier or Training()
        if self._began is None:
            return earlier
        return earlier + Training(time.monotonic() - self._began, self._device)
