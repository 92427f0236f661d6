"""Target scores: logit, probability, log-probability, margin, of logits (b classes), labels (b)."""

from collections.abc import Callable

import torch
from torch import Tensor


def logit(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit (b) of the class; other classes do not matter."""
    return logits.gather(1, labels[:, None])[:, 0]


def probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax probability (b) of the class, whose gradient vanishes near 0 and 1."""
    return logit(logits.softmax(dim=1), labels)


def log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability (b) of the class, whose gradient vanishes near 1 only."""
    return logit(logits.log_softmax(dim=1), labels)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the class less the highest of the others (b)."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return logit(logits, labels) - others.amax(dim=1)


TARGET_SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    function.__name__: function for function in (logit, probability, log_probability, margin)
}
"""Target scores by name."""
