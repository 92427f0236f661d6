"""One explainer's scoreboard: chosen metrics, fed from one sweep of classifier passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torchmetrics import Metric

from explainers.errors import InputError
from explainers.metrics import CHOICES
from explainers.metrics.base import ImageMean, ResponseMetric
from explainers.sweep import sweep
from explainers.weights import closest


@dataclass(frozen=True)
class Case:
    """A batch of explained images: what metrics are computed from.

    Attributes:
        images: (b 3 h w) in [0, 1].
        labels: the explained classes (b).
        scores: the explainer's scores (b 1 h w).
        maps: (b 1 h w) in [0, 1].
        classifier: images (m 3 h w) to logits (m classes).
        explain: images (m 3 h w) and labels (m) to scores (m 1 h w).
        mask: the object's pixels (b 1 h w), where the data set has them.
        box: its boxes (b n 4), likewise.
    """

    images: Tensor
    labels: Tensor
    scores: Tensor
    maps: Tensor
    classifier: Callable[[Tensor], Tensor]
    explain: Callable[[Tensor, Tensor], Tensor]
    mask: Tensor | None = None
    box: Tensor | None = None


class Scoreboard(nn.Module):
    """Keeps the chosen metrics of one explainer, over any number of batches and processes.

    Args:
        names: keys of `metrics.CHOICES`.
        chunk_size: images in the classifier at once.

    Raises:
        InputError: a name is unknown.
    """

    def __init__(self, names: Sequence[str], chunk_size: int = 64) -> None:
        super().__init__()
        unknown = [name for name in names if name not in CHOICES]
        if unknown:
            raise InputError(f"unknown metric {unknown[0]!r}; {closest(unknown[0], list(CHOICES))}")
        self.metrics = nn.ModuleDict({name: CHOICES[name]() for name in names})
        self.chunk_size = chunk_size

    def items(self) -> list[tuple[str, Metric]]:
        """The metrics by name."""
        return [
            (name, metric) for name, metric in self.metrics.items() if isinstance(metric, Metric)
        ]

    def update(self, case: Case) -> dict[str, Tensor]:
        """Add a batch, with one pass of the classifier over each perturbation that is needed.

        Returns:
            The values (b) of those metrics that have one an image; NaN where one is undefined.

        Raises:
            InputError: a metric needs masks or boxes that the data set does not have.
        """
        needs = [
            perturbation
            for _, metric in self.items()
            if isinstance(metric, ResponseMetric)
            for perturbation in metric.needs
        ]
        responses = sweep(
            case.classifier, needs, case.images, case.maps, case.labels, self.chunk_size
        )
        values = {}
        for name, metric in self.items():
            arguments = []
            if isinstance(metric, ResponseMetric):
                arguments = [getattr(responses[need], metric.reads) for need in metric.needs]
            for field in getattr(metric, "takes", ()):
                if getattr(case, field) is None:
                    raise InputError(
                        f"{name} needs a {field} for each image, which this data set does not "
                        "have; leave it out of metrics"
                    )
                arguments.append(getattr(case, field))
            metric.update(*arguments)
            if isinstance(metric, ImageMean):
                values[name] = metric.values[-1]
        return values
