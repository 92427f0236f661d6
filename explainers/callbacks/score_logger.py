"""Scores of validations and tests: logged, and recorded for each image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from explainers.base import Batch, Explainer
from explainers.errors import InputError, require_known, require_whole
from explainers.evaluation.evaluator import CONFIDENCE_METRICS, Evaluator
from explainers.evaluation.metric_fills import build_metric
from explainers.evaluation.protocol import MAP_NORMALISATIONS, protocol_of
from explainers.evaluation.records import BEFORE_TRAINING, Row, annotate, gathered, write_records
from explainers.evaluation.responses import Known
from explainers.evaluation.scoreboard import Scoreboard
from explainers.evaluation.uninformative import uninformative_methods
from explainers.metrics.judged import for_judge
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.trained_weights import scores_with

EXPLAINER = "explainer"
"""The explainer's own row in logs and records; the others are the uninformative baselines'."""


class ScoreLogger(Callback):
    """Scores the maps of a step's targets, beside those of uninformative baselines.

    Logs `val/METRIC` and `test/ROW/METRIC`, and writes the test's records.csv, a line an image and
    row, to the run's folder. In a fit `uninformative/METRIC/ROW` are the baselines' of the
    validation; these cost a pass a row at the first one, and stay the same.

    Args:
        metrics: names of metrics that a test reports, as `build_metric` takes them.
        chunk_size: images in the classifier at once.
        map_normalisation: as `Evaluator` takes it.

    Attributes:
        records: of the last test, of all processes.
        file: name of the file of a test's records.
        start: trained weights that a fit starts from, if known; a test scores their maps, too.

    Raises:
        InputError: a metric or the normalisation is unknown, a metric needs a judge, or chunk_size
            is below 1.
    """

    def __init__(
        self,
        metrics: Sequence[str] = CONFIDENCE_METRICS,
        chunk_size: int = 64,
        map_normalisation: str = "answered",
    ) -> None:
        for name in metrics:
            if any(for_judge(need) for need in getattr(build_metric(name), "needs", ())):
                raise InputError(
                    f"{name} needs a judge, which a test has not; use `explainers judge`, or leave "
                    "it out of metrics"
                )
        require_known("map normalisation", map_normalisation, MAP_NORMALISATIONS)
        require_whole("chunk_size", chunk_size)
        self.metrics = list(metrics)
        self.chunk_size = chunk_size
        self.map_normalisation = map_normalisation
        self.records: list[Row] = []
        self.start: dict[str, Tensor] | None = None
        self.file = "records.csv"

    @property
    def rows(self) -> list[str]:
        """The rows of a test."""
        start = [BEFORE_TRAINING] if self.start is not None else []
        return [EXPLAINER, *start, *uninformative_methods()]

    def keep_start(self, explainer: LearnedExplainer) -> None:
        """Keep the weights of an explainer that is to be trained."""
        state = explainer.trained_state()
        self.start = {name: weight.detach().clone() for name, weight in state.items()}

    @property
    def protocol(self) -> dict[str, str]:
        """The protocol of a test in words."""
        return protocol_of(self.map_normalisation)

    def scored(self, logged: Mapping[str, Any], records: Sequence[Row], name: str) -> list[Row]:
        """The rows of a test with their figures, and how certain these are.

        Args:
            logged: metrics of the trainer.
            records: of the test.
            name: for the explainer's row.
        """
        found = []
        for row in self.rows:
            prefix = f"test/{row}/"
            figures = {
                key.removeprefix(prefix): float(value)
                for key, value in logged.items()
                if key.startswith(prefix)
            }
            own = [record for record in records if record["explainer"] == row]
            found.append(annotate({"explainer": name if row == EXPLAINER else row} | figures, own))
        return found

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the scoreboards."""
        assert isinstance(pl_module, Explainer)  # for the type checker
        options = (self.chunk_size, self.map_normalisation)
        validated = [EXPLAINER, *uninformative_methods()]
        self._validation = Evaluator(pl_module.classifier, validated, CONFIDENCE_METRICS, *options)
        self._references: dict[str, float] = {}
        self._test = Evaluator(pl_module.classifier, self.rows, self.metrics, *options)
        for evaluator in (self._validation, self._test):
            for board in evaluator.scoreboards.values():
                board.to(trainer.strategy.root_device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the maps of a batch."""
        assert isinstance(outputs, Mapping)  # of Explainer.validation_step
        assert isinstance(pl_module, Explainer)
        target, scores = outputs["target"], outputs["scores"]
        if len(target):
            known = _known(self._validation, batch, target)
            self._validation.update(EXPLAINER, pl_module, batch, target, scores, known)
            if self._references or not _in_fit(trainer):
                return
            for row, method in uninformative_methods().items():
                maps = method(batch["image"], target)
                self._validation.update(row, method, batch, target, maps, known)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what all processes have scored together."""
        board = self._validation.scoreboards[EXPLAINER]
        figures = board.compute()
        _log("val", pl_module, figures, board)
        pl_module.log("AG", figures["average_gain"], prog_bar=True, logger=False, sync_dist=True)
        if _in_fit(trainer):
            self._references = self._references or {
                f"uninformative/{name}/{row}": value
                for row in uninformative_methods()
                for name, value in self._validation.scoreboards[row].compute().items()
            }
            pl_module.log_dict(self._references, sync_dist=True)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the records of an earlier test."""
        self.records = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the maps of a batch, and those before training and of uninformative baselines."""
        assert isinstance(outputs, Mapping)  # of Explainer.test_step
        assert isinstance(pl_module, Explainer)
        target, scores = outputs["target"], outputs["scores"]
        if not len(target):
            return
        known = _known(self._test, batch, target)
        self.records += self._test.update(EXPLAINER, pl_module, batch, target, scores, known)
        if self.start is not None:
            maps = scores_with(pl_module, self.start, batch["image"], target)
            self.records += self._test.update(
                BEFORE_TRAINING, pl_module, batch, target, maps, known
            )
        for row, method in uninformative_methods().items():
            maps = method(batch["image"], target)
            self.records += self._test.update(row, method, batch, target, maps, known)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the records of all processes, write them to records.csv, and log the figures."""
        self.records = gathered(self.records)
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # asks all processes
        if trainer.is_global_zero:
            write_records(self.records, folder / self.file)
        for row in self.rows:
            records = [record for record in self.records if record["explainer"] == row]
            figures = self._test.figures(row, records)
            _log(f"test/{row}", pl_module, figures, self._test.scoreboards[row])


def _in_fit(trainer: Trainer) -> bool:
    """Whether a validation is one of a fit, and of all its images."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _known(evaluator: Evaluator, batch: Batch, target: Tensor) -> Known | None:
    """Responses to the whole images, where the target is a class."""
    return None if target.is_floating_point() else evaluator.unmasked(batch["image"], target)[1]


def _log(
    prefix: str, module: LightningModule, figures: Mapping[str, float], board: Scoreboard
) -> None:
    """Log what every process computed together, also one that has had no image, and begin anew."""
    module.log_dict({f"{prefix}/{name}": v for name, v in figures.items()}, sync_dist=True)
    for metric in board.values():
        metric.reset()
