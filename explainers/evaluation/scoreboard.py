"""The scoreboard of one explainer: chosen metrics, fed from one sweep of classifier passes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from explainers.errors import InputError
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.metric_fills import build_metric
from explainers.evaluation.responses import Known, Responses, Similarities, sweep
from explainers.metrics.judged import for_judge
from explainers.metrics.parts.image_mean import ImageMean, Perturbation, ResponseMetric
from explainers.metrics.parts.perturbations import Whole


class Scoreboard(nn.Module):
    """Keeps the chosen metrics of one explainer, over any number of batches and processes.

    Args:
        names: of metrics, as `metric_fills.build_metric` takes them.
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
        self.metrics = nn.ModuleDict({name: build_metric(name) for name in names})
        self.chunk_size = chunk_size
        self.constant_maps = constant_maps
        self.curves: dict[str, Tensor] = {}

    def items(self) -> list[tuple[str, Metric]]:
        """The metrics by name."""
        return [
            (name, metric) for name, metric in self.metrics.items() if isinstance(metric, Metric)
        ]

    @property
    def needs(self) -> list[Perturbation]:
        """The perturbations that the metrics ask for."""
        return [
            need
            for metric in self.values()
            if isinstance(metric, ResponseMetric)
            for need in metric.needs
        ]

    def values(self) -> list[Metric]:
        """The metrics."""
        return [metric for _, metric in self.items()]

    def update(self, batch: ExplainedBatch, known: Known | None = None) -> dict[str, Tensor]:
        """Add a batch, with one pass of the classifier over each perturbation that is needed.

        All of it, also what metrics have explained again, is in float32 whatever the caller is in.

        Args:
            batch: the images and their maps.
            known: responses that need not be asked for again.

        Returns:
            The values (b) of those metrics that have one an image, NaN where one is undefined; and
            under `map_left_out` 1 where the map was not scored, else 0.

        Raises:
            InputError: a metric needs masks or boxes that the data set does not have, or asks for
                the probability of a reference or the similarity to a class.
        """
        with torch.autocast(batch.images.device.type, enabled=False):
            return self._add(batch, known or {})

    def _add(self, batch: ExplainedBatch, known: Known) -> dict[str, Tensor]:
        usable = self._usable(batch.scores)
        nothing = batch.images.new_full((len(usable),), torch.nan)
        values = {name: nothing for name, metric in self.items() if isinstance(metric, ImageMean)}
        values["map_left_out"] = (~usable).float()
        self.curves = {}
        if not usable.any():
            return values
        batch = batch.select(usable)
        self._check_readable(batch.labels)
        network: Callable[[Tensor], Tensor] = batch.classifier
        if batch.labels.is_floating_point() and batch.embed is not None:
            network = batch.embed
        known = {need: _selected(answer, usable) for need, answer in known.items()}
        needs = [need for need in self.needs if need not in known]
        shown = batch.images, batch.maps, batch.labels, self.chunk_size
        judged = [need for need in needs if for_judge(need)]
        needs = [need for need in needs if not for_judge(need)]
        whole = known.get(Whole())
        responses = known | sweep(network, needs, *shown, whole, batch.decision)
        if judged:
            if batch.judge is None:
                raise InputError(
                    "metrics of EVAL-X need a judge; train one with `explainers judge`, and name its "
                    "folder as judge"
                )
            responses |= sweep(batch.judge, judged, *shown, decision=batch.decision)
        for name, metric in self.items():
            arguments = []
            if isinstance(metric, ResponseMetric):
                arguments = [getattr(responses[need], metric.reads) for need in metric.needs]
                if metric.is_area:
                    curves = nothing[:, None].repeat(1, arguments[0].shape[1])
                    curves[usable] = arguments[0].to(curves)
                    self.curves[name] = curves
            for field in getattr(metric, "takes", ()):
                if getattr(batch, field) is None:
                    raise InputError(
                        f"{name} needs {field} for each image, which this data set does not "
                        "have; leave it out of metrics"
                    )
                arguments.append(getattr(batch, field))
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
        """Each metric so far, by name."""
        return {name: float(metric.compute()) for name, metric in self.items()}

    def _usable(self, scores: Tensor) -> Tensor:
        """Mask (b) of the scores (b 1 h w) that are finite and, unless allowed, not constant."""
        pixels = scores.flatten(1)
        usable = pixels.isfinite().all(dim=1)
        if not self.constant_maps:
            usable &= pixels.amax(dim=1) > pixels.amin(dim=1)
        return usable


def _selected(answer: Responses | Similarities, chosen: Tensor) -> Responses | Similarities:
    """Of responses (b n), those of the images that `chosen` (b) bool is true for."""
    return type(answer)(*(part[chosen] for part in answer))
