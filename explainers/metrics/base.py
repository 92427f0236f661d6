"""The accumulator that all per-image metrics share."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class ImageMean(Metric):
    """Mean of one value an image, whatever the batches and the number of processes.

    The values themselves are the state: they are gathered without padding and averaged in float64
    on the CPU, so the figure is the same for every split of the data.

    Attributes:
        per_image: the metric as a pure function: one value (b) an image, in the metric's unit.
    """

    per_image: ClassVar[Callable[..., Tensor]]
    full_state_update = False
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, *arguments: Tensor) -> None:
        """Add a batch; see `per_image` for what it takes."""
        self.values.append(type(self).per_image(*arguments).float())

    def compute(self) -> Tensor:
        """Mean over the images so far."""
        return dim_zero_cat(self.values).double().cpu().mean().float()
