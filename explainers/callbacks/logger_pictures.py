"""Pictures, histograms and texts in the loggers that can show them; others are passed over."""

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor

from explainers.images.tiles import to_bytes


def shows_pictures(trainer: Trainer) -> bool:
    """Whether this process has a logger that `show_picture` shows a picture in."""
    kinds = (TensorBoardLogger, WandbLogger, MLFlowLogger)
    return trainer.is_global_zero and any(isinstance(one, kinds) for one in trainer.loggers)


def show_picture(trainer: Trainer, name: str, picture: Tensor) -> None:
    """Show a picture (3 h w) in [0, 1] in TensorBoard, Weights & Biases and MLflow.

    Args:
        trainer: whose loggers show it, of the first process.
        name: under which they do.
        picture: is of the trainer's step.
    """
    step = trainer.global_step
    pixels = to_bytes(picture)
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, pixels, step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [pixels], step=step)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, pixels, key=name, step=step)


def show_histogram(trainer: Trainer, name: str, values: Tensor) -> None:
    """Show how values of any shape are distributed, in TensorBoard; arguments as above."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, TensorBoardLogger) and values.numel():
            logger.experiment.add_histogram(name, values.float(), trainer.global_step)


def show_text(trainer: Trainer, name: str, text: str) -> None:
    """Show a text as it is, in TensorBoard and MLflow; arguments as above."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, TensorBoardLogger):
            indented = "".join(f"    {line}\n" for line in text.splitlines())  # code, in Markdown
            logger.experiment.add_text(name, indented, trainer.global_step)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_text(logger.run_id, text, f"{name}.txt")
