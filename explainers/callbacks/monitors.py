"""The callbacks that show a training to who watches it."""

from lightning.pytorch import Callback

from explainers.callbacks.gradient_norm import GradientNorm
from explainers.callbacks.panel_logger import PanelLogger
from explainers.callbacks.step_times import StepTimes
from explainers.callbacks.tensorboard_tabs import TensorBoardTabs
from explainers.callbacks.validation_monitor import ValidationMonitor


def monitors() -> list[Callback]:
    """New callbacks that show a fit in its loggers, for any trainer; each does without the others.

    Scores are `ScoreLogger`'s, which a trainer needs beside them.
    """
    return [PanelLogger(), ValidationMonitor(), GradientNorm(), StepTimes(), TensorBoardTabs()]
