"""Mean response curves: of images of one size or several, alone or in groups."""

import pytest
import torch

from explainers.evaluation.bootstrap import bootstrap_interval
from explainers.evaluation.response_curves import curves_of


def test_mean_curve_is_that_of_the_images_and_its_ends_have_their_intervals():
    torch.manual_seed(0)
    curves = torch.rand(6, 5).double()
    records = [{"key": str(index)} for index in range(7)]
    pairs = [(index, values) for index, values in enumerate(curves)]
    pairs.append((6, torch.full((5,), torch.nan)))  # its map was left out
    found = curves_of({"insertion": pairs}, records)["insertion"]
    assert found["share"] == [0, 0.25, 0.5, 0.75, 1]
    assert found["mean"] == pytest.approx(curves.mean(dim=0).tolist(), abs=1e-5)
    for point in (0, 4):
        interval = (found["low"][point], found["high"][point])
        assert interval == pytest.approx(bootstrap_interval(curves[:, point]), abs=1e-5)


def test_images_of_one_group_are_resampled_together():
    pairs = [(0, torch.zeros(2)), (1, torch.ones(2))]
    records = [{"group": "x"}, {"group": "x"}]
    found = curves_of({"insertion": pairs}, records)["insertion"]
    assert found["low"] == found["high"] == found["mean"] == [0.5, 0.5]


def test_curves_of_images_of_different_sizes_are_averaged_at_the_same_shares():
    pairs = [(0, torch.tensor([0.0, 1.0])), (1, torch.tensor([0.0, 0.0, 1.0]))]
    found = curves_of({"insertion": pairs}, [{}, {}])["insertion"]
    assert found["mean"] == [0, 0.25, 1]  # (0.5 + 0) / 2 in the middle
