import math

import pytest
import torch

from explainers.evaluation.bootstrap import bootstrap_band, bootstrap_interval


def test_interval_of_many_values_is_that_of_the_normal_law():
    values = torch.randn(400, dtype=torch.float64)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(float(values.mean() - half), abs=0.02)
    assert high == pytest.approx(float(values.mean() + half), abs=0.02)


def test_band_is_of_the_means_of_rows_drawn_one_by_one():
    values = torch.randn(37, 3, dtype=torch.float64)
    values[5, 1] = torch.nan
    rows = torch.cat([values[:5], values[6:]])
    generator = torch.Generator().manual_seed(3)
    means = []
    for _ in range(600):
        drawn = torch.randint(36, (36,), generator=generator)
        means.append(sum(rows[index] for index in drawn) / 36)
    expected = torch.stack(means).quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
    low, high = bootstrap_band(values, confidence=0.9, resamples=600, seed=3)
    torch.testing.assert_close(torch.stack([low, high]), expected, rtol=0, atol=1e-12)


def test_constant_values_leave_no_doubt():
    assert bootstrap_interval(torch.full((7,), 3.0)) == pytest.approx((3.0, 3.0))


def test_undefined_images_are_left_out():
    values = torch.tensor([1.0, torch.nan, 2.0, 4.0])
    assert bootstrap_interval(values) == bootstrap_interval(torch.tensor([1.0, 2.0, 4.0]))


def test_no_values_no_interval():
    assert all(math.isnan(bound) for bound in bootstrap_interval(torch.zeros(0)))


def test_same_values_same_interval():
    values = torch.rand(30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
