"""What makes an explanation good, as torchmetrics: one file a metric."""

from explainers.metrics.average_drop import AverageDrop
from explainers.metrics.average_gain import AverageGain
from explainers.metrics.average_increase import AverageIncrease

__all__ = ["AverageDrop", "AverageGain", "AverageIncrease"]
