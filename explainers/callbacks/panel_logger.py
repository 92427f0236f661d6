"""An explainer at a glance: a panel of images and their maps, and TensorBoard's of a split."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from explainers.base import Explainer
from explainers.report.explanation_panel import explained_panel


class PanelLogger(Callback):
    """Shows the same few images and their maps in TensorBoard, each validation and test.

    Beside them, for an explainer that optimises each map: how each image's objective rose.

    Args:
        count: how many of the first batch's images to show.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the panel from the first batch."""
        board: Any = getattr(trainer.logger, "experiment", None)
        shown = batch["image"][: self.count]
        if batch_idx or dataloader_idx or not len(shown) or not hasattr(board, "add_image"):
            return
        assert isinstance(pl_module, Explainer)  # for the type checker
        split = "test" if trainer.testing else "val"
        board.add_image(f"{split}/panel", explained_panel(pl_module, shown), trainer.global_step)
        curves = pl_module.objective_curves(shown)
        for image, curve in enumerate([] if curves is None else curves.tolist()):
            for step, value in enumerate(curve):
                board.add_scalar(f"{split}/objective/{image}", value, step)

    on_test_batch_end = on_validation_batch_end
