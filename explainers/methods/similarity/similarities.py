"""Similarities of two embeddings: cosine, dot product, negative squared distance."""

from collections.abc import Callable

import torch
from torch import Tensor


def cosine(embeddings: Tensor, references: Tensor) -> Tensor:
    """Cosine (b) of embeddings (b d) and references (b d); 0 where one of them is zero."""
    return dot(embeddings, references) / lengths(embeddings, references)


def dot(embeddings: Tensor, references: Tensor) -> Tensor:
    """Dot product (b) of embeddings (b d) and references (b d)."""
    return (embeddings * references).sum(dim=1)


def euclidean(embeddings: Tensor, references: Tensor) -> Tensor:
    """Minus the squared distance (b) of embeddings (b d) and references (b d)."""
    return -(embeddings - references).square().sum(dim=1)


def lengths(embeddings: Tensor, references: Tensor) -> Tensor:
    """The product (b) of the lengths of embeddings (b d) and references (b d), never zero."""
    product: Tensor = embeddings.norm(dim=1) * references.norm(dim=1)
    return product.clamp(min=torch.finfo(product.dtype).tiny)


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": cosine,
    "dot": dot,
    "euclidean": euclidean,
}
"""Similarities of two embeddings by name; more is more alike."""
