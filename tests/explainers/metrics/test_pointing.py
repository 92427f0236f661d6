"""The pointing game, on maps whose peak is known."""

import pytest
import torch

from explainers.metrics.pointing import Pointing, pointing


def _point(row, column):
    """A map (1 1 4 9), wider than high, that peaks at one pixel."""
    scores = torch.rand(1, 1, 4, 9)
    scores[..., row, column] = 2
    return scores


def _object():
    masks = torch.zeros(1, 1, 4, 9, dtype=torch.bool)
    masks[..., 1:3, 5:9] = True
    return masks


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [(1, 5, 100), (2, 8, 100), (0, 5, 0), (3, 8, 0), (2, 4, 0), (2, 1, 0)],
)
def test_only_a_peak_inside_hits(row, column, expected):
    assert pointing(_point(row, column), _object()).tolist() == [expected]


def test_a_perfect_map_scores_100():
    assert pointing(_object().float(), _object()).tolist() == [100]


def test_of_equal_peaks_the_first_in_reading_order_counts():
    outside_first, inside_first = _point(0, 8), _point(2, 5)
    outside_first[..., 2, 5] = 2
    inside_first[..., 3, 0] = 2
    masks = torch.cat([_object()] * 2)
    assert pointing(torch.cat([outside_first, inside_first]), masks).tolist() == [0, 100]


def test_value_is_that_of_a_slow_loop():
    scores, masks = torch.randn(30, 1, 4, 9), torch.rand(30, 1, 4, 9) > 0.5
    expected = []
    for image, mask in zip(scores, masks, strict=True):
        places = [(row, column) for row in range(4) for column in range(9)]
        peak = max(places, key=lambda place: image[0, place[0], place[1]].item())
        expected.append(100.0 if mask[0, peak[0], peak[1]] else 0.0)
    assert 0 < sum(expected) < 3000
    assert pointing(scores, masks).tolist() == expected


def test_scale_and_offset_do_not_matter():
    scores, masks = torch.randn(8, 1, 4, 9), torch.rand(8, 1, 4, 9) > 0.5
    assert torch.equal(pointing(3 * scores - 5, masks), pointing(scores, masks))


def test_constant_maps_and_empty_masks_are_undefined():
    scores = torch.cat([torch.ones(1, 1, 4, 9), _point(2, 5), _point(2, 5)])
    scores[1, 0, 0, 0] = torch.nan
    masks = torch.cat([_object()] * 3)
    masks[2] = False
    assert pointing(scores, masks).isnan().all()


def test_transposed_masks_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 1, 9, 4\)"):
        pointing(_point(0, 0), _object().transpose(2, 3))


def test_batches_of_unequal_length_weigh_by_image_and_leave_out_what_is_undefined():
    # Hit, hit, undefined, miss: 2 of 3, where the mean of batch means is (100 + 0) / 2.
    scores = torch.cat([_point(1, 5), _point(2, 6), torch.ones(1, 1, 4, 9), _point(0, 0)])
    masks = torch.cat([_object()] * 4)
    parts = Pointing()
    parts.update(scores[:3], masks[:3])
    parts.update(scores[3:], masks[3:])
    assert parts.compute() == pytest.approx(200 / 3)
    parts.reset()
    parts.update(scores[3:], masks[3:])
    assert parts.compute() == 0
