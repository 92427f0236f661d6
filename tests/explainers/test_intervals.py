import math

import pytest
import torch

from explainers.intervals import bootstrap_interval


def test_interval_of_many_values_is_that_of_the_normal_law():
    values = torch.randn(400, dtype=torch.float64)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(float(values.mean() - half), abs=0.02)
    assert high == pytest.approx(float(values.mean() + half), abs=0.02)


def test_constant_values_leave_no_doubt():
    assert bootstrap_interval(torch.full((7,), 3.0)) == (3.0, 3.0)


def test_undefined_images_are_left_out():
    values = torch.tensor([1.0, torch.nan, 2.0, 4.0])
    assert bootstrap_interval(values) == bootstrap_interval(torch.tensor([1.0, 2.0, 4.0]))


def test_no_values_no_interval():
    assert all(math.isnan(bound) for bound in bootstrap_interval(torch.zeros(0)))


def test_same_values_same_interval():
    values = torch.rand(30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
