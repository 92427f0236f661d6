"""EVAL-X: a judge that was trained on masked images looks at the highest pixels of a map."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from explainers.metrics.parts.image_mean import ResponseMetric
from explainers.metrics.parts.perturbations import ranks


@dataclass(frozen=True)
class Shown:
    """The highest pixels of a map, whole, and black elsewhere; for a judge, not the classifier.

    Attributes:
        percent: share of the pixels that are shown; of equal ones the first are.
    """

    percent: float

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield the masked images (b 3 h w)."""
        count = round(maps[0].numel() * self.percent / 100)
        yield images * (ranks(maps) < count)


def in_percent(values: Tensor) -> Tensor:
    """Values (b 1) in [0, 1] as percent (b)."""
    return 100 * values[:, 0]


class JudgedProbability(ResponseMetric):
    """Mean probability that a judge gives the target from a map's highest pixels, in percent.

    Higher is better. The judge is trained to predict from any pixels what the classifier predicts
    from all of them, so a map that encodes the class in its shape, and does not show evidence of
    it, gains nothing. EVAL-X (https://arxiv.org/abs/2103.01890).

    Args:
        percent: share of the pixels that the judge is shown.
    """

    higher_is_better = True
    per_image = staticmethod(in_percent)

    def __init__(self, percent: float) -> None:
        super().__init__()
        self.needs = (Shown(percent),)


class JudgedAccuracy(JudgedProbability):
    """Share of images of which a judge predicts the target from a map's highest pixels, in percent.

    Higher is better; see `JudgedProbability`.
    """

    reads = "hit"


def for_judge(need: object) -> bool:
    """Whether a perturbation is for a judge, and not for the classifier."""
    return isinstance(need, Shown)
