"""TensorBoard's tabs HPARAMS and CUSTOM SCALARS."""

from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from explainers.evaluation.evaluator import CONFIDENCE_METRICS

VALIDATED = "val/average_gain"
SCORES = (
    "hp_metric",
    "val/loss",
    "val/grid_pointing",
    *(f"test/explainer/{name}" for name in (*CONFIDENCE_METRICS, "map_area")),
)
"""Columns of HPARAMS; one without a value is empty."""

CHARTS = {
    "scores": {
        name.replace("_", " "): ["Multiline", [f"val/{name}", f"uninformative/{name}/.*"]]
        for name in CONFIDENCE_METRICS
    },
    "training": {
        "loss": ["Multiline", ["(train|val)/loss"]],
        "areas of masks": ["Multiline", ["train/(target|off_target)_area"]],
        "seconds of a step": [
            "Multiline",
            [f"time/{part}" for part in ("data", "frozen_passes", "masked_pass", "head", "other")],
        ],
    },
}
"""Charts of CUSTOM SCALARS: by section and title, the tags that share one."""


class TensorBoardTabs(Callback):
    """Fills HPARAMS, where runs are compared, and CUSTOM SCALARS, whose charts have several lines.

    A fit is in HPARAMS from its start on, with its hyperparameters and the latest of `SCORES`.
    `hp_metric` is the average gain of the latest validation. Other loggers are left as they are.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep Lightning from a row of its own, whose score is -1."""
        for logger in _boards(trainer):
            logger._default_hp_metric = False  # an option of its constructor, which has run

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write hyperparameters and charts."""
        settings = {"explainer": type(pl_module).__name__, "max_epochs": trainer.max_epochs}
        settings["batch_size"] = getattr(trainer.datamodule, "batch_size", None)  # type: ignore[attr-defined]
        given = {k: v for k, v in pl_module.hparams_initial.items() if k != "_class_path"}
        settings = dict(_flat(settings | given))
        for logger in _boards(trainer):
            for summary in hparams(settings, dict.fromkeys(SCORES, 0.0)):
                logger.experiment.file_writer.add_summary(summary)
            logger.experiment.add_custom_scalars(CHARTS)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the score of the latest validation."""
        score = trainer.callback_metrics.get(VALIDATED)
        if score is None or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        for logger in _boards(trainer):
            logger.log_metrics({"hp_metric": float(score)}, trainer.global_step)


def _boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """The loggers of the first process that write for TensorBoard."""
    loggers = trainer.loggers if trainer.is_global_zero else []
    return [one for one in loggers if isinstance(one, TensorBoardLogger)]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings of any depth as numbers and texts, by names like `classifier/model`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif value is not None:
            plain = isinstance(value, bool | int | float | str)
            yield f"{prefix}{name}", value if plain else str(value)
