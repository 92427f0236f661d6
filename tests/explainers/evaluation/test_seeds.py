"""Several trainings of a method as one row, by hand."""

import math

import pytest

from explainers.evaluation.costs import Training
from explainers.evaluation.seeds import seeds_interval, training_of_all, with_seeds


def test_interval_over_seeds_is_students():
    # Of 1, 2, 3: deviation 1, t of two degrees of freedom 4.3027.
    low, high = seeds_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert all(map(math.isnan, seeds_interval([1.0])))


def test_rows_become_one_with_both_intervals():
    def row(name, figure):
        costs = {"seconds_per_image": 2 * figure, "classifier_passes_per_image": 1.0}
        return {"explainer": name, "drop": figure, "failed": [], "images": 2} | costs

    rows = [row("x#1", 1.0), row("other", 5.0), row("x#2", 3.0)]
    values = {"x#1": (0.0, 2.0), "x#2": (2.0, 4.0), "other": (5.0, 5.0)}
    records = [
        {"explainer": name, "key": str(index), "drop": value}
        for name, pair in values.items()
        for index, value in enumerate(pair)
    ]
    found, every = with_seeds(rows, records, {"x": ["x#1", "x#2"]})
    assert [one["explainer"] for one in found] == ["x", "other"]
    merged = found[0]
    assert merged["drop"] == 2.0
    assert merged["drop_seeds"] == [1.0, 3.0]
    assert merged["drop_interval"] == [1.0, 3.0]  # of the images' means, 1 and 3
    assert merged["drop_seeds_interval"] == pytest.approx([2 - 12.7062, 2 + 12.7062], abs=1e-3)
    assert merged["seconds_per_image"] == 4.0
    assert merged["seeds"] == 2
    means = [one["drop"] for one in every if one["explainer"] == "x"]
    assert means == [1.0, 3.0]
    assert len(every) == 8


def test_cost_of_a_training_is_the_mean_where_all_are_known():
    known = Training(10.0, "CPU"), Training(20.0, "CPU")
    assert training_of_all(known) == Training(15.0, "CPU")
    assert training_of_all([*known, Training()]).seconds is None
    assert training_of_all([*known, Training(5.0, "GPU")]).seconds is None
