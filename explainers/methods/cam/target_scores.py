"""Target scores: logit, probability, log-probability, margin, of logits (b classes), labels (b)."""

from collections.abc import Callable

import torch
from torch import Tensor

from explainers.classifier.decision import Decision


def logit(logits: Tensor, labels: Tensor, decision: Decision) -> Tensor:
    """Logit (b) of the class; other classes do not matter."""
    return logits.gather(1, labels[:, None])[:, 0]


def probability(logits: Tensor, labels: Tensor, decision: Decision) -> Tensor:
    """Probability (b) of the class, whose gradient vanishes near 0 and 1."""
    return decision.probability_of(labels, logits)


def log_probability(logits: Tensor, labels: Tensor, decision: Decision) -> Tensor:
    """Log-probability (b) of the class, whose gradient vanishes near 1 only."""
    return decision.log_probabilities(logits).gather(1, labels[:, None])[:, 0]


def margin(logits: Tensor, labels: Tensor, decision: Decision) -> Tensor:
    """Logit of the class less the highest of those that exclude it (b)."""
    if not decision.exclusive:
        return logit(logits, labels, decision)
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return logit(logits, labels, decision) - others.amax(dim=1)


TargetScore = Callable[[Tensor, Tensor, Decision], Tensor]

TARGET_SCORES: dict[str, TargetScore] = {
    function.__name__: function for function in (logit, probability, log_probability, margin)
}
"""Target scores of logits, labels and how the logits are read, by name."""
