"""A batch of explained images: what metrics are computed from."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.classifier.decision import SOFTMAX, Decision
from explainers.metrics.class_sensitivity import least_likely_class, random_class, second_class
from explainers.metrics.max_sensitivity import max_sensitivity
from explainers.metrics.parts.boxes import boxes_of
from explainers.metrics.randomisation import randomised


@dataclass(frozen=True)
class ExplainedBatch:
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
        decision: the reading of the classifier's logits.
        judge: maps masked images (m 3 h w) to logits (m classes); see `metrics.judged`.
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
    decision: Decision = SOFTMAX
    judge: Callable[[Tensor], Tensor] | None = None

    @cached_property
    def boxes(self) -> Tensor | None:
        """The data set's boxes (b n 4), or those around its masks."""
        if self.box is None and self.mask is not None:
            return boxes_of(self.mask)
        return self.box

    @cached_property
    def sensitivity(self) -> Tensor:
        """Largest change (b) of each map under small changes of the image."""
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

    def select(self, chosen: Tensor) -> "ExplainedBatch":
        """The part of the batch with those images that `chosen` (b) bool is true for."""
        parts: dict[str, Any] = {
            field.name: value[chosen]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **parts)
