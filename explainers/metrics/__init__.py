"""What makes an explanation good, as torchmetrics: one file a metric."""

from collections.abc import Callable
from functools import partial

from torchmetrics import Metric

from explainers.metrics.average_drop import AverageDrop
from explainers.metrics.average_gain import AverageGain
from explainers.metrics.average_increase import AverageIncrease

__all__ = ["CHOICES", "AverageDrop", "AverageGain", "AverageIncrease"]

CHOICES: dict[str, Callable[[], Metric]] = {
    "average_drop": AverageDrop,
    "average_drop_50": partial(AverageDrop, 50),
    "average_drop_15": partial(AverageDrop, 15),
    "average_increase": AverageIncrease,
    "average_increase_50": partial(AverageIncrease, 50),
    "average_increase_15": partial(AverageIncrease, 15),
    "average_gain": AverageGain,
}
"""The metrics by the names that configs and results give them."""
