"""The accumulator of metrics, and metrics of the classifier's responses to perturbations."""

from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Perturbation(Protocol):
    """Turns images and their maps into versions to show the classifier.

    Implementations are frozen dataclasses: equal ones are shown once, whatever number of metrics
    asks for them.
    """

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield n versions (b 3 h w), in order, of images (b 3 h w) with maps (b 1 h w)."""


class ImageMean(Metric):
    """Mean of one value an image, whatever the batches and the number of processes.

    The values themselves are the state: they are gathered without padding and averaged in float64
    on the CPU, so the figure is the same for every split of the data. NaN says that the metric is
    not defined for an image: such values are counted and not averaged in.

    Attributes:
        per_image: the metric as a pure function: one value (b) an image, in the metric's unit.
        takes: what `update` is to be given, by the names of `evaluation.ExplainedBatch`.
    """

    per_image: ClassVar[Callable[..., Tensor]]
    takes: tuple[str, ...] = ()
    full_state_update = False
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, *arguments: Tensor) -> None:
        """Add a batch; see `per_image` for what it takes."""
        self.values.append(type(self).per_image(*arguments).float().flatten())

    def compute(self) -> Tensor:
        """Mean over the images so far for which the metric is defined; NaN without any."""
        if not len(self.values):
            return torch.tensor(torch.nan)
        values = dim_zero_cat(self.values).double().cpu()
        return values[~values.isnan()].mean().float()


class ResponseMetric(ImageMean):
    """A metric of how the classifier responds to perturbed images.

    It does not see the classifier: whoever holds it shows it each perturbation once, for all
    metrics, and calls `update` with the responses (b n) to each of `needs`, in that order, and
    then with what the metric `takes` besides.

    Attributes:
        needs: what to show the classifier.
        reads: what of the responses is passed on: the target's softmax `probability`, its `logit`,
            or `hit`, whether the target is the predicted class; of a reference, the `similarity`.
        is_area: the responses are a curve, at evenly spaced shares of the pixels from 0 to 1, and
            the metric is the area under it.
    """

    needs: tuple[Perturbation, ...]
    is_area: ClassVar[bool] = False
    reads: ClassVar[str] = "probability"
