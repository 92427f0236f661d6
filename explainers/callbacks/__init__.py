"""Lightning callbacks and plugins of training, tests and predictions."""

from explainers.callbacks.durable_checkpoints import DurableCheckpoints
from explainers.callbacks.feature_cache import FeatureCache
from explainers.callbacks.graceful_stop import GracefulStop
from explainers.callbacks.map_writer import MapWriter
from explainers.callbacks.panel_logger import PanelLogger
from explainers.callbacks.process_watch import ProcessWatch
from explainers.callbacks.score_logger import ScoreLogger
from explainers.callbacks.training_clock import TrainingClock

__all__ = [
    "DurableCheckpoints",
    "FeatureCache",
    "GracefulStop",
    "MapWriter",
    "PanelLogger",
    "ProcessWatch",
    "ScoreLogger",
    "TrainingClock",
]
