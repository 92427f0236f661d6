"""The half of an explainer that Lightning drives: how its maps are scored, and what is recorded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.evaluation.records import gathered, write_records
from explainers.evaluation.scoreboard import Case, Scoreboard
from explainers.evaluation.uninformative import ROWS

Batch = dict[str, Any]
CONFIDENCE_METRICS = ("average_drop", "average_increase", "average_gain")


def _in_full_precision(
    step: Callable[["ScoredModule", Batch, int], None],
) -> Callable[["ScoredModule", Batch, int], None]:
    """Switch a fit's mixed precision off for a step: under bf16 scores have three digits."""

    @wraps(step)
    def full(self: "ScoredModule", batch: Batch, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):
            step(self, batch, batch_idx)

    return full


class ScoredModule(LightningModule, ABC):
    """Validates and tests the maps of the classes that the classifier predicts.

    Attributes:
        classifier: the model under explanation.
        records: a row an image and explainer, of the last test.
    """

    classifier: FrozenClassifier

    def __init__(self) -> None:
        super().__init__()
        self.val_scores = Scoreboard(CONFIDENCE_METRICS)
        self.choose_metrics(CONFIDENCE_METRICS)

    @abstractmethod
    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """Return the target, checked, or the predicted classes (b) where it is None."""

    @abstractmethod
    def to_maps(self, scores: Tensor) -> Tensor:
        """Turn scores (b 1 h w) into maps in [0, 1]."""

    def choose_metrics(self, names: Sequence[str], chunk_size: int = 64) -> None:
        """Choose what a test reports, for this explainer and for the trivial maps beside it.

        Args:
            names: keys of `metrics.CHOICES`.
            chunk_size: images in the classifier at once.

        Raises:
            InputError: a name is unknown.
        """
        self.test_scores = nn.ModuleDict(
            {"explainer": Scoreboard(names, chunk_size)}
            | {row: Scoreboard(names, chunk_size, constant_maps=True) for row in ROWS}
        )
        self.records: list[dict[str, Any]] = []

    @_in_full_precision
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the maps of the predicted classes."""
        images = batch["image"]
        if len(images):
            labels = self.resolve_target(images, None)
            self.val_scores.update(self._case(batch, labels, self(images, labels), self.to_maps))

    def on_validation_epoch_end(self) -> None:
        """Log what all processes have scored together."""
        self._log_scores("val", self.val_scores)

    def on_test_epoch_start(self) -> None:
        """Forget the records of an earlier test."""
        self.records = []

    @_in_full_precision
    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the maps of the predicted classes, and beside them the trivial ones."""
        images = batch["image"]
        if not len(images):
            return
        labels = self.resolve_target(images, None)
        cases = {"explainer": self._case(batch, labels, self(images, labels), self.to_maps)}
        for row, trivial in ROWS.items():
            cases[row] = self._case(batch, labels, trivial(images), lambda maps: maps)
        for row, case in cases.items():
            board = self.test_scores[row]
            assert isinstance(board, Scoreboard)  # for the type checker
            values = board.update(case)
            for index, key in enumerate(batch.get("key") or [""] * len(labels)):
                record = {"key": key, "explainer": row, "target": int(labels[index])}
                scores = {name: float(value[index]) for name, value in values.items()}
                self.records.append(record | scores)

    def on_test_epoch_end(self) -> None:
        """Gather the records of all processes, write them to records.csv, and log the figures."""
        self.records = gathered(self.records)
        folder = Path(self.trainer.log_dir or self.trainer.default_root_dir)  # asks all processes
        if self.trainer.is_global_zero:
            write_records(self.records, folder / "records.csv")
        for row, board in self.test_scores.items():
            assert isinstance(board, Scoreboard)  # for the type checker
            self._log_scores(f"test/{row}", board)

    def _log_scores(self, prefix: str, board: Scoreboard) -> None:
        """Compute together, on every process, also on one that has had no image."""
        values = board.compute()
        self.log_dict({f"{prefix}/{name}": v for name, v in values.items()}, sync_dist=True)
        for metric in board.values():
            metric.reset()

    def _case(
        self, batch: Batch, labels: Tensor, scores: Tensor, to_maps: Callable[[Tensor], Tensor]
    ) -> Case:
        return Case(
            images=batch["image"],
            labels=labels,
            scores=scores.detach(),
            maps=to_maps(scores.detach()),
            classifier=self.classifier,
            explain=self,
            mask=batch.get("mask"),
            box=batch.get("box"),
        )
