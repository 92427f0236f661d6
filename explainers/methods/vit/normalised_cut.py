"""Normalised cut of a graph of tokens in two, by one eigenvector, for a batch of graphs.

Shi, Malik: Normalized Cuts and Image Segmentation (IEEE TPAMI 22, 2000); the graph over the tokens
of a transformer is that of TokenCut (https://arxiv.org/abs/2202.11539).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FAINT = 1e-5
"""Affinity of tokens that are not alike: not 0, so that the graph is connected."""
SMALLEST_GAP = 1e-6
"""Between the eigenvalue of the cut and the next; below it the eigenvector is arbitrary."""
TIE = 1e-6
"""Relative difference of the two ends of an eigenvector up to which neither is the larger."""


class Cut(NamedTuple):
    """Cuts of a batch of graphs.

    Attributes:
        vectors: (b n), one sign on each side; which side is positive is arbitrary.
        values: (b), the eigenvalues that belong to them.
        arbitrary: bool (b): another vector divides the graph as well, as where every pair of
            tokens is alike, or none is; or there are fewer than 3 tokens.
    """

    vectors: Tensor
    values: Tensor
    arbitrary: Tensor


def affinities(tokens: Tensor, tau: float, binary: bool = True) -> Tensor:
    """Affinity matrices (b n n) of tokens (b n d), float64.

    Args:
        tokens: only their directions count.
        tau: cosine above which two tokens are alike; all others are joined by `FAINT`.
        binary: alike is 1, the diagonal included; otherwise it is the cosine.
    """
    directions = F.normalize(tokens.double(), dim=2)
    cosines = directions @ directions.mT
    strengths = torch.ones_like(cosines) if binary else cosines
    return strengths.where(cosines > tau, FAINT)


def cut(graphs: Tensor) -> Cut:
    """Solve (D - A) v = lambda D v for the second smallest lambda, of graphs A (b n n), float64."""
    count = graphs.shape[-1]
    root = graphs.sum(dim=2).rsqrt()  # D^-1/2
    scaled = root[:, :, None] * graphs * root[:, None, :]
    laplacians = torch.eye(count, dtype=graphs.dtype, device=graphs.device) - scaled
    values, vectors = torch.linalg.eigh(laplacians)
    second = min(1, count - 1)
    arbitrary = torch.ones_like(values[:, 0], dtype=torch.bool)
    if count > 2:
        arbitrary = values[:, 2] - values[:, 1] < SMALLEST_GAP
    return Cut(root * vectors[:, :, second], values[:, second], arbitrary)


def seed_positive(vectors: Tensor) -> Tensor:
    """Choose the signs of vectors (b n) so that the token of the largest magnitude is positive.

    Where both ends are as far from 0, as with halves of equal size, the first token (a corner of
    the image) is negative; that is ours.
    """
    high, low = vectors.amax(dim=1), -vectors.amin(dim=1)
    tied = (high - low).abs() <= TIE * torch.maximum(high, low)
    flipped = torch.where(tied, vectors[:, 0] > 0, low > high)
    return torch.where(flipped[:, None], -vectors, vectors)


def correlated(vectors: Tensor, scores: Tensor) -> Tensor:
    """Flip those of vectors (b n) whose correlation with scores (b n) is negative."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    flipped = (vectors * centred).sum(dim=1) < 0
    return torch.where(flipped[:, None], -vectors, vectors)
