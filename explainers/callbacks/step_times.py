"""The time of a training step: images a second, and the parts of a step."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from explainers.base import Batch
from explainers.callbacks.logged_steps import is_logged
from explainers.callbacks.part_clock import OTHER, PartClock
from explainers.training.learned_explainer import LearnedExplainer

FROZEN, MASKED, HEAD = "frozen_passes", "masked_pass", "head"


class StepTimes(Callback):
    """Logs `time/images_per_second` and, of the steps that are logged, seconds by part.

    `time/data` is how long the step has waited for its batch, `time/frozen_passes` the passes on
    whole images, `time/masked_pass` the losses and their backward pass, `time/head` drawing the
    masks, the backward pass from them on and the optimiser, and `time/other` the rest. They are of
    this process; images are those of all processes, validations left out.

    Only a step that is logged is looked into: its explainer's methods are timed, and are what they
    were after it. On a GPU the times are those in its queue.
    """

    def __init__(self) -> None:
        self._clock: PartClock | None = None
        self._waiting_since = 0.0
        self._waited = 0.0
        self._replaced: list[tuple[dict[str, Any], str, Any]] = []
        self._restart()

    def _restart(self) -> None:
        self._seconds, self._images = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count, and to wait for a batch."""
        self._restart()
        self._waiting_since = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to wait for a batch."""
        self._waiting_since = time.perf_counter()

    on_validation_end = on_train_epoch_start

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Look into the step, if it is logged."""
        self._waited = time.perf_counter() - self._waiting_since
        if isinstance(pl_module, LearnedExplainer) and is_logged(trainer):
            self._clock = PartClock(pl_module.device)
            self._look_into(pl_module, self._clock)
            self._clock.mark(OTHER)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: object
    ) -> None:
        """Begin with the losses' part of the backward pass."""
        if self._clock:
            self._clock.mark(MASKED)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Log the step, and wait for the next batch."""
        if self._clock:
            self._clock.mark(OTHER)
            parts = {"data": self._waited} | self._clock.seconds()
            self._stop()
        else:
            parts = {}
        self._seconds += time.perf_counter() - self._waiting_since
        self._images += len(batch["image"]) * trainer.world_size
        if parts:
            speed = {"images_per_second": self._images / self._seconds}
            pl_module.log_dict({f"time/{name}": value for name, value in (speed | parts).items()})
            self._restart()
        self._waiting_since = time.perf_counter()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the explainer as it was."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the explainer as it was."""
        self._stop()

    def _look_into(self, explainer: LearnedExplainer, clock: PartClock) -> None:
        draw = clock.timed(HEAD, explainer.network.draw)

        def drawn(*args: Any, **options: Any) -> Any:  # noqa: ANN401  as of `draw`
            masks = draw(*args, **options)
            clock.drawn(masks, HEAD)
            return masks

        for owner, name, timed in (
            (explainer, "read", clock.timed(FROZEN, explainer.read)),
            (explainer, "losses", clock.timed(MASKED, explainer.losses)),
            (explainer.network, "read", clock.timed(FROZEN, explainer.network.read)),
            (explainer.network, "draw", drawn),
        ):
            # An attribute of the instance, in front of the method of its class.
            self._replaced.append((vars(owner), name, vars(owner).get(name)))
            vars(owner)[name] = timed

    def _stop(self) -> None:
        self._clock = None
        for attributes, name, before in self._replaced:
            if before is None:
                del attributes[name]
            else:
                attributes[name] = before
        self._replaced = []
