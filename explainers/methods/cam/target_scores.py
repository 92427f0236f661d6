"""What of a class counts as its score: pure functions of logits (b classes) and labels (b)."""

from collections.abc import Callable

import torch
from torch import Tensor


def logit(logits: Tensor, labels: Tensor) -> Tensor:
    """The class's logit (b); other classes do not matter."""
    return logits.gather(1, labels[:, None])[:, 0]


def probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Its softmax probability (b), whose gradient vanishes near 0 and 1."""
    return logit(logits.softmax(dim=1), labels)


def log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """The logarithm (b) of that, whose gradient vanishes near 1 only."""
    return logit(logits.log_softmax(dim=1), labels)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """How far (b) its logit is above the highest of the others."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return logit(logits, labels) - others.amax(dim=1)


SELECTORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    function.__name__: function for function in (logit, probability, log_probability, margin)
}
"""The scores by their names."""
