"""Class sensitivity: whether the map of another class is another map."""

import torch
from torch import Tensor

from explainers.errors import InputError
from explainers.metrics.parts.image_mean import ImageMean
from explainers.metrics.parts.map_similarity import pearson


def second_class(logits: Tensor) -> Tensor:
    """The class (b) that comes next to the predicted one, from logits (b classes).

    Raises:
        InputError: there is only one class.
    """
    return _without_top(logits, -torch.inf).argmax(dim=1)


def least_likely_class(logits: Tensor) -> Tensor:
    """The class (b) of the lowest of the logits (b classes); raises as `second_class`."""
    return _without_top(logits, torch.inf).argmin(dim=1)


def random_class(logits: Tensor, seed: int = 0) -> Tensor:
    """A random class (b) other than the predicted one, from logits (b classes).

    The seed pairs each class with another one, uniformly: the same prediction always gets the
    same other class, whatever the batches. Raises as `second_class`.
    """
    top = _top(logits)
    classes = logits.shape[1]
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, classes, (classes,), generator=generator).to(top.device)
    return (top + steps[top]) % classes


def _top(logits: Tensor) -> Tensor:
    if logits.shape[1] < 2:
        raise InputError(f"another class needs a classifier of 2 or more, got {logits.shape[1]}")
    return logits.argmax(dim=1)


def _without_top(logits: Tensor, value: float) -> Tensor:
    return logits.scatter(1, _top(logits)[:, None], value)


class ClassSensitivity(ImageMean):
    """Mean correlation of the maps of two classes over a data set, in [-1, 1]; lower is better.

    `update` takes the maps (b 1 h w) of the predicted class and those of another one, which
    `second_class`, `random_class` or `least_likely_class` chooses: record which. 1 says that the
    method shows the same whatever it is asked. After Quantitative Evaluations on Saliency Methods
    (https://arxiv.org/abs/2012.15616). Not defined where one of the maps is constant.

    Args:
        other: the other class, `second`, `random` or `least_likely`.
    """

    higher_is_better = False
    per_image = staticmethod(pearson)

    def __init__(self, other: str = "second") -> None:
        super().__init__()
        self.takes = ("scores", f"scores_of_{other}_class")
