"""Decisions of a classifier by its logits: probabilities, log-odds, and the classes that are shown."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import require_known, require_number

ACTIVATIONS = {
    "softmax": "one class an image: its probability is the softmax of the logits",
    "sigmoid": "any number of classes an image: the probability of each is the sigmoid of its logit",
}
"""Activations of logits, in words."""


@dataclass(frozen=True)
class Decision:
    """The reading of logits (_ classes) as probabilities.

    Attributes:
        activation: a key of `ACTIVATIONS`.
        threshold: the probability from which an image shows a class, where it can show several.

    Raises:
        InputError: the activation is unknown, or the threshold is not in [0, 1].
    """

    activation: str = "softmax"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        require_known("activation", str(self.activation), ACTIVATIONS)
        require_number("threshold", self.threshold, 0, 1)

    @property
    def exclusive(self) -> bool:
        """Whether an image shows one class, which the others are rivals of."""
        return self.activation == "softmax"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities (_ classes) in float32 at least."""
        logits = _exact(logits)
        return logits.softmax(dim=-1) if self.exclusive else logits.sigmoid()

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Logarithms of the probabilities (_ classes)."""
        logits = _exact(logits)
        return logits.log_softmax(dim=-1) if self.exclusive else F.logsigmoid(logits)

    def probability_of(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Probability (b) of labels (b), from logits (b classes)."""
        return self.probabilities(logits).gather(1, labels[:, None])[:, 0]

    def log_odds(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Log-odds (b) of labels (b), from logits (b classes)."""
        own = logits.gather(1, labels[:, None])
        if not self.exclusive:
            return own[:, 0]
        return own[:, 0] - logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)

    def shown(self, logits: Tensor) -> Tensor:
        """Classes that images show (_ classes) bool.

        The likeliest; where an image can show several, also those of at least the threshold.
        """
        likeliest = torch.zeros_like(logits, dtype=torch.bool)
        if logits.shape[-1]:
            likeliest.scatter_(-1, logits.argmax(dim=-1, keepdim=True), value=True)
        if self.exclusive:
            return likeliest
        return likeliest | (self.probabilities(logits) >= self.threshold)

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """Mean Kullback-Leibler divergence of the probabilities, from logits (b classes) of each.

        Where classes do not exclude each other, the sum of that of each one and its absence.
        """
        divergence = _divergence(self.log_probabilities(before), self.log_probabilities(after))
        if self.exclusive:
            return divergence
        return divergence + _divergence(F.logsigmoid(-before), F.logsigmoid(-after))


SOFTMAX = Decision()
"""The reading of most classifiers."""


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    return F.kl_div(after, before, log_target=True, reduction="batchmean")


def _exact(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
