"""Ranks and their agreement, by hand."""

import math

import pytest

from explainers.evaluation.ranks import rank

ROWS = [
    {"explainer": "a", "drop": 1.0, "gain": 9.0, "odd": 1.0},
    {"explainer": "b", "drop": 2.0, "gain": 5.0, "odd": math.nan},
    {"explainer": "c", "drop": 3.0, "gain": 5.0, "odd": 2.0},
]
DIRECTIONS = {"drop": False, "gain": True, "odd": True, "missing": True}


def test_mean_ranks_share_ties_and_leave_out_what_not_all_have():
    found = rank(ROWS, DIRECTIONS)
    assert found.metrics == ["drop", "gain"]
    # By drop 1, 2, 3; by gain 1, 2.5, 2.5.
    assert found.mean == {"a": 1.0, "b": 2.25, "c": 2.75}


def test_agreement_is_kendalls_tau():
    # Pairs ab, ac: in the same order by both; bc is a tie by gain: 2 / sqrt(3 * 2).
    found = rank(ROWS, DIRECTIONS)
    assert found.agreement[("drop", "gain")] == pytest.approx(2 / math.sqrt(6))
    assert found.mean_agreement == pytest.approx(2 / math.sqrt(6))
    turned = rank([row | {"gain": -row["gain"]} for row in ROWS], DIRECTIONS)
    assert turned.mean_agreement == pytest.approx(-2 / math.sqrt(6))


def test_a_single_method_has_no_rank():
    assert rank(ROWS[:1], DIRECTIONS) is None
    assert rank(ROWS, {"missing": True}) is None
    assert math.isnan(rank(ROWS, {"drop": False}).mean_agreement)
