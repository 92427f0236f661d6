"""Shapley values of a grid of patches by enumeration of all their subsets, for small grids."""

from math import factorial

import torch
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.training.masked_answers import MaskedAnswers

MOST_PLAYERS = 12  # 4096 forward passes an image


def all_subsets(players: int) -> Tensor:
    """All subsets (2**n n), bool; player i is in those whose number has bit i."""
    numbers = torch.arange(2**players)[:, None]
    return (numbers >> torch.arange(players)) % 2 == 1


def shapley_values(worths: Tensor) -> Tensor:
    """Shapley values (n _) from the worths (2**n _) of `all_subsets`.

    The mean over all orders of what a player adds to those before it: for a subset of k others, the
    share k! (n - k - 1)! / n! of the orders.
    """
    players = len(worths).bit_length() - 1
    subsets = all_subsets(players)
    sizes = subsets.sum(dim=1)
    shares = torch.tensor(
        [factorial(k) * factorial(players - k - 1) / factorial(players) for k in range(players)],
        dtype=worths.dtype,
    )
    values = []
    for player in range(players):
        without = (~subsets[:, player]).nonzero()[:, 0]
        added = worths[without + 2**player] - worths[without]
        weights = shares[sizes[without]]
        values.append((weights.view(-1, *[1] * (added.ndim - 1)) * added).sum(dim=0))
    return torch.stack(values)


@torch.no_grad()
def exact(classifier: FrozenClassifier, images: Tensor, labels: Tensor, cells: int) -> Tensor:
    """Shapley values (b cells cells) of patches for the probability of classes, others black.

    Args:
        classifier: says what subsets are worth.
        images: (b 3 h w) in [0, 1].
        labels: (b).
        cells: patches on each side.
    """
    if cells**2 > MOST_PLAYERS:
        raise ValueError(f"{cells} x {cells} patches have too many subsets; at most 3 x 3")
    answers = MaskedAnswers(classifier, cells=cells)
    subsets = all_subsets(cells**2).view(1, -1, cells, cells)
    found = []
    for image, label in zip(images.split(1), labels.tolist(), strict=True):
        logits = answers.on_subsets(image, subsets)[0]
        worths = classifier.decision.probabilities(logits)[:, label].double()
        found.append(shapley_values(worths).view(cells, cells))
    return torch.stack(found).float()
