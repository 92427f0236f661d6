"""Weights of channels from the classifier's answers to the image masked by each, by name."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from explainers.classifier.decision import Decision
from explainers.methods.cam.target_scores import logit, probability

VECTORS: dict[str, Callable[[Tensor, Decision], Tensor]] = {
    "probabilities": lambda logits, decision: decision.probabilities(logits),
    "logits": lambda logits, decision: logits,
}
"""Class vectors (b classes) of logits (b classes) and how they are read, by name."""


def cosine_full(vectors: Tensor, whole: Tensor, labels: Tensor) -> Tensor:
    """Cosine (b) of class vectors (b classes) and those of the whole images, whatever the label."""
    return F.cosine_similarity(vectors, whole)


def cosine_target(vectors: Tensor, whole: Tensor, labels: Tensor) -> Tensor:
    """Cosine (b) of class vectors (b classes) with nothing but the class: p_c / |p|."""
    return score(F.normalize(vectors), whole, labels)


def score(vectors: Tensor, whole: Tensor, labels: Tensor) -> Tensor:
    """The entry (b) of the class in class vectors (b classes)."""
    return vectors.gather(1, labels[:, None])[:, 0]


RELATIONS = {function.__name__: function for function in (cosine_full, cosine_target, score)}
"""Weights (b) of channels, from the class vectors of the image masked by each, by name."""

GRADIENTS = {"gradient": logit, "probability_gradient": probability}
"""Target scores (b) whose mean gradient weights the channels, by the name of the relation."""
