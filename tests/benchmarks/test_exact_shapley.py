"""Shapley values by enumeration, of games whose values are known."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def values_of():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        module = importlib.import_module("scenes.exact_shapley")
    finally:
        sys.path.pop(0)
    return module


def test_players_of_an_additive_game_get_what_they_add(values_of):
    given = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    worths = (values_of.all_subsets(4) * given).sum(dim=1)
    torch.testing.assert_close(values_of.shapley_values(worths), given)


def test_glove_game(values_of):
    # Player 0 has a left glove, 1 and 2 a right one each; a pair is worth 1. Player 0 adds 1 in
    # four of six orders, each other in one of six.
    subsets = values_of.all_subsets(3)
    worths = (subsets[:, 0] & (subsets[:, 1] | subsets[:, 2])).double()
    expected = torch.tensor([4 / 6, 1 / 6, 1 / 6], dtype=torch.float64)
    torch.testing.assert_close(values_of.shapley_values(worths), expected)


def test_values_sum_to_what_all_are_worth(values_of):
    worths = torch.randn(2**6, 3, dtype=torch.float64)
    values = values_of.shapley_values(worths)
    torch.testing.assert_close(values.sum(dim=0), worths[-1] - worths[0])
