"""Paired differences, by hand and against a literal bootstrap."""

import math

import pytest
import torch

from explainers.evaluation.paired import differences_to, paired_difference


def record(name, key, value, **more):
    return {"explainer": name, "key": key, "drop": value} | more


def records_of(first, second):
    return [
        record(name, f"{index}", value)
        for name, values in (("a", first), ("b", second))
        for index, value in enumerate(values)
    ]


def test_difference_is_the_mean_over_images_that_both_have():
    records = records_of([3.0, 5.0, math.nan, 9.0], [1.0, 6.0, 2.0])
    found = paired_difference(records, "a", "b", "drop")
    assert found.mean == pytest.approx((2 - 1) / 2)
    assert found.images == 2
    assert not found.beyond_chance
    assert paired_difference(records, "a", "nobody", "drop") is None


def test_interval_is_that_of_resampled_differences():
    generator = torch.Generator().manual_seed(1)
    ours = torch.randn(40, generator=generator)
    theirs = ours + 0.2 + 0.1 * torch.randn(40, generator=generator)  # alike, image by image
    found = paired_difference(records_of(ours.tolist(), theirs.tolist()), "a", "b", "drop")
    gaps = (ours - theirs).double()
    drawn = torch.randint(40, (4000, 40), generator=generator)
    low, high = gaps[drawn].mean(dim=1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    assert found.low == pytest.approx(float(low), abs=0.01)
    assert found.high == pytest.approx(float(high), abs=0.01)
    assert found.beyond_chance  # though the methods' own intervals overlap widely


def test_images_of_a_group_are_one():
    records = [record("a", f"{i}", 1.0 * (i < 4), group=f"{i // 4}") for i in range(8)]
    records += [record("b", f"{i}", 0.0, group=f"{i // 4}") for i in range(8)]
    found = paired_difference(records, "a", "b", "drop")
    assert (found.low, found.high) == (0.0, 1.0)  # two groups, of which either may be drawn twice


def test_differences_to_a_row_are_plain_values():
    rows = [{"explainer": "a"}, {"explainer": "b"}]
    (found,) = differences_to("b", rows, records_of([2.0, 2.0], [1.0, 1.0]), ["drop", "gain"])
    assert found == {
        "explainer": "a",
        "drop": {"difference": 1.0, "interval": [1.0, 1.0], "beyond_chance": True},
    }
