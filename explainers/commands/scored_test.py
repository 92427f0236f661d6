"""The scores of a test by train.py: rows, protocol, and a table in words."""

from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import Trainer

from datamodules import GridsDataModule, ImageDataModule
from datamodules.errors import DataError
from explainers.base import Explainer
from explainers.callbacks import ScoreLogger
from explainers.callbacks.score_logger import EXPLAINER
from explainers.commands.chosen_images import choose_images
from explainers.commands.training_cli import note
from explainers.evaluation.records import NAMES, ON_MOSAICS, Row, read_records
from explainers.report.table import table
from explainers.report.training_gain import training_gain

METRICS_OF_MOSAICS = {
    "grid_pointing": "grid_pointing",
    "average_gain": f"average_gain{ON_MOSAICS}",
}
"""Metrics of a test on mosaics, by the names that rows and records have for them."""

RECORDS_OF_MOSAICS = "records_mosaics.csv"


class ScoredTest(NamedTuple):
    """Results of a test.

    Attributes:
        rows: the explainer's first, as `ScoreLogger.scored` gives them.
        protocol: of the test, in words.
        text: table, differences to before training, and the file of the records.
    """

    rows: list[Row]
    protocol: dict[str, Any]
    text: str


def scored_test(
    trainer: Trainer, explainer: Explainer, data: ImageDataModule, mosaics: int
) -> ScoredTest:
    """Gather what a test has found, after a second one on mosaics of its images.

    Mosaics are left out, with a note, where too few images are known surely.

    Args:
        trainer: that has tested, with a `ScoreLogger`.
        explainer: that was tested.
        data: whose test images it was tested on.
        mosaics: how many to test on; 0 for none.
    """
    (board,) = (one for one in trainer.callbacks if isinstance(one, ScoreLogger))  # type: ignore[attr-defined]
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    records = read_records(folder / board.file)  # the processes that wrote it may be gone
    name = type(explainer).__name__.lower()
    rows = board.scored(trainer.callback_metrics, records, name)
    metrics = list(board.metrics)
    protocol = board.protocol | dict(data.protocol)
    kept = board.metrics, board.file
    try:
        if mosaics:
            grids = _mosaics(data, explainer, mosaics)
            board.metrics, board.file = list(METRICS_OF_MOSAICS), RECORDS_OF_MOSAICS
            trainer.test(explainer, datamodule=grids, verbose=False)
            cells = read_records(folder / board.file)
            found = board.scored(trainer.callback_metrics, cells, name)
            rows = [row | _on_mosaics(more) for row, more in zip(rows, found, strict=True)]
            records += [
                _on_mosaics(cell) | {key: cell[key] for key in NAMES if key in cell}
                for cell in cells
            ]
            metrics += METRICS_OF_MOSAICS.values()
            images = grids.protocol["images"]
            protocol["mosaics"] = f"{mosaics} mosaics of 2 x 2 cells, chance 25 %; {images}"
    except DataError as error:
        note(f"no scores on mosaics: {error}")
    finally:
        board.metrics, board.file = kept
    parts = [table(rows, protocol), training_gain(records, EXPLAINER, metrics)]
    parts.append(f"each image's scores: {folder / board.file}")
    return ScoredTest(rows, protocol, "\n\n".join(part for part in parts if part))


def _on_mosaics(figures: Row) -> Row:
    """The figures of mosaics, with their intervals, under the names of such."""
    return {
        f"{name}{end}": figures[f"{metric}{end}"]
        for metric, name in METRICS_OF_MOSAICS.items()
        for end in ("", "_interval")
        if f"{metric}{end}" in figures
    }


def _mosaics(data: ImageDataModule, explainer: Explainer, count: int) -> GridsDataModule:
    """Mosaics of the test images that the explained classifier knows surely."""
    data.setup("test")
    size = data.test_images(6).shape[-1]  # of those that can be read
    grids = GridsDataModule(data, length=count, size=size - size % 2, batch_size=data.batch_size)
    choose_images(grids, explainer.classifier)
    return grids
