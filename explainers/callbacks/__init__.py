"""Lightning callbacks and plugins of training, tests and predictions."""

from explainers.callbacks.durable_checkpoints import DurableCheckpoints
from explainers.callbacks.feature_cache import FeatureCache
from explainers.callbacks.graceful_stop import GracefulStop
from explainers.callbacks.gradient_norm import GradientNorm
from explainers.callbacks.map_writer import MapWriter
from explainers.callbacks.monitors import monitors
from explainers.callbacks.panel_logger import PanelLogger
from explainers.callbacks.process_watch import ProcessWatch
from explainers.callbacks.progress_line import ProgressLine
from explainers.callbacks.score_logger import ScoreLogger
from explainers.callbacks.step_times import StepTimes
from explainers.callbacks.tensorboard_tabs import TensorBoardTabs
from explainers.callbacks.training_clock import TrainingClock
from explainers.callbacks.validation_monitor import ValidationMonitor

__all__ = [
    "DurableCheckpoints",
    "FeatureCache",
    "GracefulStop",
    "GradientNorm",
    "MapWriter",
    "PanelLogger",
    "ProcessWatch",
    "ProgressLine",
    "ScoreLogger",
    "StepTimes",
    "TensorBoardTabs",
    "TrainingClock",
    "ValidationMonitor",
    "monitors",
]
