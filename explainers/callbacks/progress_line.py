"""A progress bar in one line: time left, average gain, loss and its terms."""

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

FORMAT = "{desc} {n_fmt}/{total_fmt}, {remaining} left{postfix}"
NARROW = 80  # columns, where none are known
SHORTEST = 3  # letters of the name of a term
FIRST = ("AG", "loss")  # are always shown, and in full
BETWEEN = 0.1  # seconds between two looks, and in a file
BETWEEN_LINES = 10.0


class ProgressLine(TQDMProgressBar):
    """Shows the average gain of the latest validation, the loss and its terms, in 80 columns.

    Names of terms are as long as there is room for, and terms that are 0 are left out. A fit that
    is so many steps long, and not epochs, has one bar for all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._latest = 0.0
        self._begun = False

    def init_train_tqdm(self) -> Tqdm:
        """The bar of training: text alone."""
        bar = super().init_train_tqdm()
        bar.bar_format = FORMAT
        return bar

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401  Lightning's
        """Begin the bar of all steps, or that of an epoch: one that is resumed does not start."""
        super().on_train_start()
        self._begin(trainer)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401  Lightning's
        """Begin the bar of an epoch."""
        if not _by_steps(trainer):
            self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        bar = self.train_progress_bar
        total = trainer.max_steps if _by_steps(trainer) else self.total_train_batches
        bar.reset()
        bar.total = None if math.isinf(total) else int(total)
        bar.set_description_str("Step" if _by_steps(trainer) else _epoch(trainer), refresh=False)
        self._begun = False

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Show the step, if some time has passed since the latest that was shown."""
        bar = self.train_progress_bar
        bar.n = trainer.global_step if _by_steps(trainer) else batch_idx + 1
        if not self._begun:
            self._begun = True
            bar.initial = bar.n - 1  # of a fit that was resumed, too
        between = BETWEEN if sys.stdout.isatty() else BETWEEN_LINES
        if time.monotonic() - self._latest > between or bar.n == bar.total:
            self._show(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the end of the epoch."""
        self._show(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the new scores."""
        self.val_progress_bar.close()
        self.reset_dataloader_idx_tracker()
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._show(trainer, pl_module)

    def _show(self, trainer: Trainer, pl_module: LightningModule) -> None:
        bar = self.train_progress_bar
        if bar.disable:
            return
        plain = bar.format_dict
        taken = len(bar.format_meter(**plain | {"postfix": None, "ncols": None})) + 3
        values = {
            name.rpartition("/")[2]: value
            for name, value in self.get_metrics(trainer, pl_module).items()
            if isinstance(value, float)
        }
        bar.set_postfix_str(in_columns(values, (plain["ncols"] or NARROW) - taken))
        self._latest = time.monotonic()


def with_progress_line(settings: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of a trainer's settings, with a bar where they have none and do not refuse one.

    Args:
        settings: as LightningCLI gives them to a trainer.
    """
    given = settings.get("callbacks") or []
    callbacks = [*given] if isinstance(given, list) else [given]
    refused = settings.get("enable_progress_bar") is False or settings.get("barebones")
    if refused or any(isinstance(one, ProgressBar) for one in callbacks):
        return callbacks
    return [*callbacks, ProgressLine()]


def in_columns(values: Mapping[str, float], columns: int) -> str:
    """Values as text: `AG` and `loss`, then the others with names as long as fit.

    Where even their shortest names do not, the smallest values are left out.
    """
    digits = {"AG": 1}
    known = {name: f"{values[name]:.{digits.get(name, 3)}f}" for name in FIRST if name in values}
    first = ", ".join(f"{name} {value}" for name, value in known.items())
    terms = {name: value for name, value in values.items() if name not in FIRST and value}
    while terms:
        for letters in range(max(map(len, terms)), SHORTEST - 1, -1):
            parts = [f"{name[:letters].rstrip('_')} {value:.2f}" for name, value in terms.items()]
            text = " ".join(parts)
            text = f"{first}: {text}" if first else text
            if len(text) <= columns:
                return text
        del terms[min(terms, key=lambda name: abs(terms[name]))]
    return first


def _by_steps(trainer: Trainer) -> bool:
    return trainer.max_epochs == -1 and trainer.max_steps > 0


def _epoch(trainer: Trainer) -> str:
    last = trainer.max_epochs
    return f"Epoch {trainer.current_epoch + 1}" + (f"/{last}" if last and last > 0 else "")
