"""The evaluation that tests and comparisons share: from target and scores to records and figures."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.errors import require_known
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.protocol import MAP_NORMALISATIONS, protocol_of
from explainers.evaluation.records import Row
from explainers.evaluation.responses import Known, unmasked
from explainers.evaluation.scoreboard import Scoreboard
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.images.normalisation import min_max
from explainers.metrics.parts.perturbations import Whole

Batch = dict[str, Any]
Method = Callable[[Tensor, Tensor], Tensor]
"""Maps images (b 3 h w) and labels (b), or references (b d), to scores (b 1 h w): an explainer, or
a plain function."""

CONFIDENCE_METRICS = ("average_drop", "average_increase", "average_gain")

REFERENCE = "reference"
"""The target in records where it is an embedding."""


class Evaluator:
    """Scores the maps of several methods on the same batches, a row each.

    Args:
        classifier: the classifier that is explained.
        rows: names of the methods.
        metrics: names, as `metric_fills.build_metric` takes them.
        chunk_size: images in the classifier at once.
        map_normalisation: a key of `protocol.MAP_NORMALISATIONS`.
        judge: the masked-input surrogate that metrics of EVAL-X ask.

    Attributes:
        scoreboards: by row.

    Raises:
        InputError: a metric or the normalisation is unknown.
    """

    def __init__(
        self,
        classifier: FrozenClassifier,
        rows: Iterable[str],
        metrics: Sequence[str] = CONFIDENCE_METRICS,
        chunk_size: int = 64,
        map_normalisation: str = "answered",
        judge: FrozenClassifier | None = None,
    ) -> None:
        require_known("map normalisation", map_normalisation, MAP_NORMALISATIONS)
        self.classifier = classifier
        self.map_normalisation = map_normalisation
        self.judge = judge
        self.scoreboards = {
            row: Scoreboard(metrics, chunk_size, constant_maps=row in UNINFORMATIVE) for row in rows
        }

    @property
    def protocol(self) -> dict[str, str]:
        """The protocol in words, as results hold it."""
        return protocol_of(self.map_normalisation)

    @torch.no_grad()
    def unmasked(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Known]:
        """Classes and the responses to whole images, of one pass that all rows share.

        Args:
            images: (b 3 h w) in [0, 1].
            labels: the explained classes (b); by default those that the classifier predicts.

        Returns:
            Labels (b), and responses for `update`; none where no metric asks for them.
        """
        asked = any(Whole() in board.needs for board in self.scoreboards.values())
        if labels is not None and not asked:
            return labels, {}
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.classifier(images)
        labels = logits.argmax(dim=1) if labels is None else labels
        return labels, unmasked(logits, labels, self.classifier.decision) if asked else {}

    def update(
        self,
        row: str,
        method: Method,
        batch: Batch,
        target: Tensor,
        scores: Tensor,
        known: Known | None = None,
    ) -> list[Row]:
        """Score a method's maps of a batch.

        Args:
            row: the method's name.
            method: asked again by metrics of how its maps change; its `to_maps` and `embed` are
                used where it has them.
            batch: `image`, and what else the data set has.
            target: labels (b) or references (b d) that were explained.
            scores: the method's answer (b 1 h w).
            known: what `unmasked` gave; None for references.

        Returns:
            A record an image: `key`, `explainer`, `group` where the batch has it, `target`, each
            metric's value, `map_left_out`, and `map_area` in percent.

        Raises:
            InputError: as `Scoreboard.update`.
        """
        scores = scores.detach()
        explained = ExplainedBatch(
            images=batch["image"],
            labels=target,
            scores=scores,
            maps=self.maps(method, scores),
            classifier=self.classifier,
            explain=method,
            mask=batch.get("mask"),
            box=batch.get("box"),
            other_mask=batch.get("other_mask"),
            embed=self.embed_of(method) if target.is_floating_point() else None,
            decision=self.classifier.decision,
            judge=self.judge,
        )
        values = self.scoreboards[row].update(explained, known)
        areas = 100 * explained.maps.mean((1, 2, 3))
        values["map_area"] = areas.where(values["map_left_out"] == 0, torch.nan)
        records = []
        for index, key in enumerate(batch.get("key") or [""] * len(scores)):
            record: Row = {"key": key, "explainer": row}
            if "group" in batch:
                record["group"] = batch["group"][index]
            record["target"] = REFERENCE if target.is_floating_point() else int(target[index])
            records.append(record | {name: float(value[index]) for name, value in values.items()})
        return records

    def maps(self, method: Method, scores: Tensor) -> Tensor:
        """Maps (b 1 h w) in [0, 1] that are scored, of a method's scores (b 1 h w)."""
        if self.map_normalisation == "minmax":
            return min_max(scores)
        to_maps: Callable[[Tensor], Tensor] | None = getattr(method, "to_maps", None)
        return scores if to_maps is None else to_maps(scores)

    def embed_of(self, method: Method) -> Callable[[Tensor], Tensor]:
        """A method's own embedding of images (m 3 h w), or else the classifier's."""
        embed: Callable[[Tensor], Tensor] = getattr(method, "embed", self.classifier.embed)
        return embed

    def figures(self, row: str, records: Sequence[Row]) -> Row:
        """Each metric over all images of all processes, and the mean area of those recorded."""
        areas = torch.tensor([record["map_area"] for record in records])
        return self.scoreboards[row].compute() | {"map_area": float(areas.nanmean())}
