"""Shapley values by regression: sampling from the Shapley kernel, efficiency, the squared error.

FastSHAP, Jethani et al., ICLR 2022 (https://arxiv.org/abs/2107.07436), equations 5 to 8, of
kernel SHAP, Lundberg and Lee, 2017 (https://arxiv.org/abs/1705.07874).
"""

import torch
from torch import Tensor


def kernel_sizes(players: int) -> Tensor:
    """Probabilities (d - 1), float64, of the sizes 1 to d - 1 of a subset of d players.

    The Shapley kernel of a subset, (d - 1) / (C(d, k) k (d - k)), times the number C(d, k) of
    subsets of its size k, normalised.
    """
    sizes = torch.arange(1, players, dtype=torch.float64)
    weights = 1 / (sizes * (players - sizes))
    return weights / weights.sum()


def kernel_subsets(images: int, pairs: int, players: int, generator: torch.Generator) -> Tensor:
    """Subsets of players (images 2*pairs players), bool, drawn from the Shapley kernel.

    Each of the first half has its complement, of the same probability, in the second.

    Args:
        images: number of images.
        pairs: subsets of each, and as many complements.
        players: d, at least 2.
        generator: of the draw, on the CPU.
    """
    sizes = kernel_sizes(players).expand(images, -1)
    count = 1 + torch.multinomial(sizes, pairs, replacement=True, generator=generator)
    order = torch.rand(images, pairs, players, generator=generator).argsort(dim=2)
    chosen = order.argsort(dim=2) < count[..., None]
    return torch.cat([chosen, ~chosen], dim=1)


def efficient(values: Tensor, total: Tensor) -> Tensor:
    """Shift values (b n r c) so that those of an image and class sum to `total` (b n)."""
    missing = total - values.sum(dim=(2, 3))
    return values + missing[..., None, None] / values[0, 0].numel()


def regression_error(values: Tensor, subsets: Tensor, worths: Tensor) -> Tensor:
    """Mean squared error of the worth of subsets as sums of the values of their players.

    Args:
        values: of the players (b n r c), for n classes.
        subsets: (b s r c), bool.
        worths: of subsets, less that of none (b n s).
    """
    sums = torch.einsum("bnrc,bsrc->bns", values, subsets.to(values))
    return (worths - sums).square().mean()
