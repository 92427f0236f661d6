"""Sampling from the Shapley kernel, efficiency, and the regression, by enumeration."""

from itertools import combinations
from math import comb, factorial

import pytest
import torch

from explainers.training.shapley_regression import (
    efficient,
    kernel_sizes,
    kernel_subsets,
    regression_error,
)


def kernel(players):
    """The Shapley kernel (Lundberg and Lee, theorem 2) of each subset, normalised."""
    weights = {
        subset: (players - 1) / (comb(players, size) * size * (players - size))
        for size in range(1, players)
        for subset in combinations(range(players), size)
    }
    total = sum(weights.values())
    return {subset: weight / total for subset, weight in weights.items()}


def shapley_values(worth, players):
    """By the definition: mean contribution to all sets of the others."""
    values = []
    for player in range(players):
        others = [other for other in range(players) if other != player]
        values.append(
            sum(
                factorial(size)
                * factorial(players - size - 1)
                / factorial(players)
                * (worth({*subset, player}) - worth(set(subset)))
                for size in range(players)
                for subset in combinations(others, size)
            )
        )
    return values


def test_sizes_of_four_players():
    # 1 / (k (4 - k)) for k = 1, 2, 3: 1/3, 1/4, 1/3, of 11/12.
    assert kernel_sizes(4).tolist() == pytest.approx([4 / 11, 3 / 11, 4 / 11])


@pytest.mark.parametrize("players", [2, 3, 5])
def test_subsets_are_drawn_as_often_as_the_kernel_says(players):
    count = 40_000
    drawn = kernel_subsets(4, count // 4, players, torch.Generator().manual_seed(0))
    codes = (drawn * 2 ** torch.arange(players)).sum(dim=2)
    for half in codes.chunk(2, dim=1):  # those drawn, and the complements
        for subset, probability in kernel(players).items():
            share = (half == sum(2**player for player in subset)).float().mean().item()
            # Five standard deviations of a share of so many draws.
            assert share == pytest.approx(probability, abs=5 * (probability / count) ** 0.5)


def test_each_subset_comes_with_its_complement():
    drawn = kernel_subsets(3, 4, 9, torch.Generator().manual_seed(1))
    assert drawn.shape == (3, 8, 9)
    assert torch.equal(drawn[:, 4:], ~drawn[:, :4])
    assert drawn.any(dim=2).all()


def test_efficient_values_sum_to_the_total_and_keep_their_differences():
    values = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    total = torch.randn(2, 3, dtype=torch.float64)
    shifted = efficient(values, total)
    torch.testing.assert_close(shifted.sum(dim=(2, 3)), total)
    difference = (shifted - values).flatten(2)
    torch.testing.assert_close(difference, difference[..., :1].expand_as(difference))


def test_error_of_a_hand_made_game():
    values = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])  # one image, one class, four players
    subsets = torch.tensor([[[[True, False], [False, True]], [[False, True], [True, False]]]])
    worths = torch.tensor([[[6.0, 5.0]]])
    # 1 + 4 = 5 misses 6 by 1, and 2 + 3 = 5 nothing: (1 + 0) / 2.
    assert regression_error(values, subsets, worths) == 0.5


def test_the_minimum_over_the_kernel_is_the_shapley_values():
    generator = torch.Generator().manual_seed(0)
    players = 4
    worths = torch.randn(2**players, generator=generator, dtype=torch.float64)
    worths[0] = 0

    def worth(subset):
        return worths[sum(2**player for player in subset)].item()

    values = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    weights = kernel(players)
    optimizer = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        constrained = efficient(values, worths[-1].view(1, 1))
        total = torch.zeros((), dtype=torch.float64)
        for subset, weight in weights.items():
            one = torch.zeros(1, 1, 4, dtype=torch.bool)
            one[..., list(subset)] = True
            worth_of_it = torch.tensor([[[worth(subset)]]], dtype=torch.float64)
            total = total + weight * regression_error(
                constrained, one.view(1, 1, 2, 2), worth_of_it
            )
        total.backward()
        return total

    optimizer.step(loss)
    found = efficient(values.detach(), worths[-1].view(1, 1)).flatten().tolist()
    assert found == pytest.approx(shapley_values(worth, players), abs=1e-6)
