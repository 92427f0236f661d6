"""An explainer at a glance: a panel of images and their maps, in the loggers that show pictures."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from explainers.base import Explainer
from explainers.callbacks.logger_pictures import show_picture, shows_pictures
from explainers.report.explanation_panel import explained_panel
from explainers.training.learned_explainer import LearnedExplainer


class PanelLogger(Callback):
    """Shows the same few images and their maps, each validation and test.

    Beside the maps of a fit are those of the weights that it has started from. For an explainer
    that optimises each map, TensorBoard shows how each image's objective rose.

    Args:
        count: how many of the first batch's images to show.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self._start: dict[str, Tensor] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the weights that a fit starts from, before those of a checkpoint are there."""
        if stage == "fit" and isinstance(pl_module, LearnedExplainer):
            state = pl_module.trained_state()
            self._start = {name: weight.detach().clone() for name, weight in state.items()}

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
        shown = batch["image"][: self.count]
        if batch_idx or dataloader_idx or not len(shown) or not shows_pictures(trainer):
            return
        assert isinstance(pl_module, Explainer)  # for the type checker
        split = "test" if trainer.testing else "val"
        panel = explained_panel(pl_module, shown, self._start)
        show_picture(trainer, f"{split}/panel", panel)
        curves = pl_module.objective_curves(shown)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and curves is not None:
                _show_curves(logger, f"{split}/objective", curves)

    on_test_batch_end = on_validation_batch_end


def _show_curves(logger: TensorBoardLogger, name: str, curves: Tensor) -> None:
    for image, curve in enumerate(curves.tolist()):
        for step, value in enumerate(curve):
            logger.experiment.add_scalar(f"{name}/{image}", value, step)
