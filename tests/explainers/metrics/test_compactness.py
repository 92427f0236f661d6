"""Compactness, on maps small enough to count by hand."""

import pytest
import torch

from explainers.metrics.compactness import Compactness, CompactnessOfPositive, compactness


def test_known_value():
    # The largest is 2 in size, so what is within 0.1 of 0 counts: 0.1, -0.1 and 0, 3 of 8 pixels.
    scores = torch.tensor([[[[1.0, 0.1, -0.1, 0.11], [0.0, -2.0, 0.5, -0.2]]]])
    assert compactness(scores).tolist() == [37.5]


def test_neither_sign_nor_scale_nor_order_of_pixels_matters():
    scores = torch.randn(3, 1, 6, 9) ** 5
    expected = compactness(scores)
    torch.testing.assert_close(compactness(-scores), expected)
    torch.testing.assert_close(compactness(scores * 1024), expected)
    torch.testing.assert_close(compactness(scores.flip(3).transpose(2, 3)), expected)


def test_value_is_that_of_a_slow_loop():
    scores = torch.randn(4, 1, 6, 9) ** 5
    expected = []
    for image in scores:
        sizes = [abs(value) for value in image.flatten().tolist()]
        expected.append(100 * sum(size <= 0.05 * max(sizes) for size in sizes) / len(sizes))
    assert min(expected) > 0
    assert compactness(scores).tolist() == pytest.approx(expected)


def test_an_image_counts_the_share_of_its_own_largest():
    scores = torch.stack([torch.eye(4), 1000 * torch.eye(4)])[:, None]
    assert compactness(scores).tolist() == [75.0, 75.0]  # 12 of 16 are 0


def test_constant_maps_are_not_compact_and_zeros_are_undefined():
    scores = torch.stack([torch.ones(3, 5), torch.zeros(3, 5), torch.full((3, 5), torch.nan)])
    assert compactness(scores[:, None])[0] == 0
    assert compactness(scores[:, None])[1:].isnan().all()


def test_batches_of_unequal_length_weigh_by_image_and_leave_out_what_is_undefined():
    scores = torch.randn(6, 1, 4, 7) ** 5
    scores[2] = 0
    whole, parts = Compactness(), Compactness()
    whole.update(scores)
    parts.update(scores[:5])
    parts.update(scores[5:])
    assert parts.compute() == whole.compute()
    assert whole.compute() == pytest.approx(compactness(scores).nanmean().item())
    parts.reset()
    parts.update(scores[:1])
    assert parts.compute() == compactness(scores[:1])


def test_of_the_largest_positive_entry_as_in_the_code_of_cdam():
    # Of 2 as the largest in size, 0.1 and less is nearly 0; of 1, the maximum, 0.05 and less is.
    scores = torch.tensor([[[[1.0, 0.1, -0.1, 0.05], [0.0, -2.0, 0.5, -0.04]]]])
    metric, plain = CompactnessOfPositive(), Compactness()
    metric.update(scores)
    plain.update(scores)
    assert metric.compute() == 37.5
    assert plain.compute() == 62.5


def test_maps_without_a_negative_entry_are_as_compact_by_either():
    scores = torch.rand(4, 1, 6, 9) ** 5
    assert torch.equal(compactness(scores, of_positive=True), compactness(scores))


def test_a_map_without_a_positive_entry_has_no_largest_of_them():
    scores = -torch.rand(2, 1, 6, 9)
    assert compactness(scores, of_positive=True).isnan().all()
    assert compactness(scores).isfinite().all()
