"""One explainer's scoreboard: chosen metrics, fed from one sweep of classifier passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from explainers.classifier import FrozenClassifier
from explainers.errors import InputError, require_known
from explainers.evaluation.responses import sweep
from explainers.metrics import CHOICES
from explainers.metrics.boxes import boxes_of
from explainers.metrics.class_sensitivity import least_likely_class, random_class, second_class
from explainers.metrics.image_mean import ImageMean, ResponseMetric
from explainers.metrics.max_sensitivity import max_sensitivity
from explainers.metrics.randomisation import randomised


@dataclass(frozen=True)
class Case:
    """A batch of explained images: what metrics are computed from.

    Attributes:
        images: (b 3 h w) in [0, 1].
        labels: the explained classes (b), or references (b d).
        scores: the explainer's scores (b 1 h w).
        maps: (b 1 h w) in [0, 1].
        classifier: what is explained.
        explain: images (m 3 h w) and labels (m) to scores (m 1 h w).
        mask: the object's pixels (b 1 h w), where the data set has them.
        box: its boxes (b n 4), likewise.
        other_mask: the pixels of an object that was not asked for (b 1 h w), likewise.
        embed: images (m 3 h w) to embeddings (m d), where the targets are references.
    """

    images: Tensor
    labels: Tensor
    scores: Tensor
    maps: Tensor
    classifier: FrozenClassifier
    explain: Callable[[Tensor, Tensor], Tensor]
    mask: Tensor | None = None
    box: Tensor | None = None
    other_mask: Tensor | None = None
    embed: Callable[[Tensor], Tensor] | None = None

    @cached_property
    def boxes(self) -> Tensor | None:
        """The data set's boxes (b n 4), or those around its masks."""
        if self.box is None and self.mask is not None:
            return boxes_of(self.mask)
        return self.box

    @cached_property
    def sensitivity(self) -> Tensor:
        """How far each map moves when the image hardly does (b)."""
        return max_sensitivity(self.explain, self.images, self.labels)

    @cached_property
    def scores_of_second_class(self) -> Tensor:
        """Scores (b 1 h w) for the class that comes next to the predicted one."""
        return self._scores_of(second_class)

    @cached_property
    def scores_of_random_class(self) -> Tensor:
        """Scores (b 1 h w) for a random class other than the predicted one."""
        return self._scores_of(random_class)

    @cached_property
    def scores_of_least_likely_class(self) -> Tensor:
        """Scores (b 1 h w) for the class of the lowest logit."""
        return self._scores_of(least_likely_class)

    @cached_property
    def randomised_scores(self) -> Tensor:
        """Scores (b layers h w) while the classifier is randomised, one more layer at a time."""
        with randomised(self.classifier.model, depth=1) as layers:
            scores = [self.explain(self.images, self.labels).detach() for _ in layers]
        return torch.cat(scores, dim=1)

    def _scores_of(self, choose: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.no_grad():
            logits = self.classifier(self.images)
        return self.explain(self.images, choose(logits)).detach()

    def select(self, chosen: Tensor) -> "Case":
        """The case of those images that `chosen` (b) bool is true for."""
        parts: dict[str, Any] = {
            field.name: value[chosen]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **parts)


class Scoreboard(nn.Module):
    """Keeps the chosen metrics of one explainer, over any number of batches and processes.

    Args:
        names: keys of `metrics.CHOICES`.
        chunk_size: images in the classifier at once.
        constant_maps: score constant maps too; otherwise they are counted and left out, as those
            with NaN or infinite scores are.

    Attributes:
        curves: of the last batch, the responses (b n) that a metric is the area under, by its
            name; NaN where the map was left out.

    Raises:
        InputError: a name is unknown.
    """

    def __init__(
        self, names: Sequence[str], chunk_size: int = 64, constant_maps: bool = False
    ) -> None:
        super().__init__()
        for name in names:
            require_known("metric", name, CHOICES)
        self.metrics = nn.ModuleDict({name: CHOICES[name]() for name in names})
        self.chunk_size = chunk_size
        self.constant_maps = constant_maps
        self.curves: dict[str, Tensor] = {}

    def items(self) -> list[tuple[str, Metric]]:
        """The metrics by name."""
        return [
            (name, metric) for name, metric in self.metrics.items() if isinstance(metric, Metric)
        ]

    def values(self) -> list[Metric]:
        """The metrics."""
        return [metric for _, metric in self.items()]

    def update(self, case: Case) -> dict[str, Tensor]:
        """Add a batch, with one pass of the classifier over each perturbation that is needed.

        All of it, also what metrics have explained again, is in float32 whatever the caller is in.

        Returns:
            The values (b) of those metrics that have one an image, NaN where one is undefined; and
            under `map_left_out` 1 where the map was not scored, else 0.

        Raises:
            InputError: a metric needs masks or boxes that the data set does not have, or asks for
                the probability of a reference or the similarity to a class.
        """
        with torch.autocast(case.images.device.type, enabled=False):
            return self._add(case)

    def _add(self, case: Case) -> dict[str, Tensor]:
        usable = self._usable(case.scores)
        nothing = case.images.new_full((len(usable),), torch.nan)
        values = {name: nothing for name, metric in self.items() if isinstance(metric, ImageMean)}
        values["map_left_out"] = (~usable).float()
        self.curves = {}
        if not usable.any():
            return values
        case = case.select(usable)
        needs = [
            perturbation
            for _, metric in self.items()
            if isinstance(metric, ResponseMetric)
            for perturbation in metric.needs
        ]
        self._check_readable(case.labels)
        network: Callable[[Tensor], Tensor] = case.classifier
        if case.labels.is_floating_point() and case.embed is not None:
            network = case.embed
        responses = sweep(network, needs, case.images, case.maps, case.labels, self.chunk_size)
        for name, metric in self.items():
            arguments = []
            if isinstance(metric, ResponseMetric):
                arguments = [getattr(responses[need], metric.reads) for need in metric.needs]
                if metric.is_area:
                    curves = nothing[:, None].repeat(1, arguments[0].shape[1])
                    curves[usable] = arguments[0].to(curves)
                    self.curves[name] = curves
            for field in getattr(metric, "takes", ()):
                if getattr(case, field) is None:
                    raise InputError(
                        f"{name} needs {field} for each image, which this data set does not "
                        "have; leave it out of metrics"
                    )
                arguments.append(getattr(case, field))
            metric.update(*arguments)
            if isinstance(metric, ImageMean):
                values[name] = nothing.masked_scatter(usable, metric.values[-1].to(nothing))
        return values

    def _check_readable(self, labels: Tensor) -> None:
        """Refuse metrics that read of the responses what these targets do not give."""
        references = labels.is_floating_point()
        for name, metric in self.items():
            if not isinstance(metric, ResponseMetric):
                continue
            if references and metric.reads != "similarity":
                raise InputError(
                    f"{name} asks for the probability of a class, and the targets are reference "
                    "embeddings; leave it out of metrics"
                )
            if not references and metric.reads == "similarity":
                raise InputError(
                    f"{name} asks for the similarity to a reference, and the targets are classes; "
                    "leave it out of metrics"
                )

    def compute(self) -> dict[str, float]:
        """What each metric is so far, by name."""
        return {name: float(metric.compute()) for name, metric in self.items()}

    def _usable(self, scores: Tensor) -> Tensor:
        """Which (b) of the scores (b 1 h w) are finite and, unless allowed, not constant."""
        pixels = scores.flatten(1)
        usable = pixels.isfinite().all(dim=1)
        if not self.constant_maps:
            usable &= pixels.amax(dim=1) > pixels.amin(dim=1)
        return usable
