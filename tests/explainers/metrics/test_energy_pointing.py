"""Energy pointing, on maps small enough to add up by hand."""

import pytest
import torch

from explainers.metrics.energy_pointing import EnergyPointing, energy_pointing


def test_known_value():
    # Positive: 1 + 2 + 4 + 1 = 8; inside, of 1, -3, 2 and 0: 3.
    scores = torch.tensor([[[[1.0, -3.0, 4.0], [2.0, 0.0, 1.0]]]])
    masks = torch.tensor([[[[True, True, False], [True, True, False]]]])
    assert energy_pointing(scores, masks).tolist() == [37.5]


def test_value_is_that_of_a_slow_loop():
    scores, masks = torch.randn(3, 1, 5, 8), torch.rand(3, 1, 5, 8) > 0.5
    expected = []
    for image, mask in zip(scores, masks, strict=True):
        inside = total = 0.0
        for row in range(5):
            for column in range(8):
                score = max(0.0, image[0, row, column].item())
                total += score
                inside += score if mask[0, row, column] else 0
        expected.append(100 * inside / total)
    assert energy_pointing(scores, masks).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_perfect_map_of_an_image_wider_than_high_scores_100():
    masks = torch.zeros(1, 1, 4, 9, dtype=torch.bool)
    masks[..., 1:3, 5:9] = True
    assert energy_pointing(masks.float(), masks).tolist() == [100.0]
    assert energy_pointing((~masks).float(), masks).tolist() == [0.0]


def test_a_constant_map_scores_the_share_of_the_mask():
    masks = torch.zeros(1, 1, 4, 8, dtype=torch.bool)
    masks[..., 1:3, 2:6] = True
    assert energy_pointing(torch.full((1, 1, 4, 8), 0.5), masks).tolist() == [25.0]  # 8 of 32


def test_neither_scale_nor_negative_scores_matter():
    scores, masks = torch.randn(3, 1, 5, 8), torch.rand(3, 1, 5, 8) > 0.5
    expected = energy_pointing(scores, masks)
    torch.testing.assert_close(energy_pointing(scores * 7, masks), expected)
    torch.testing.assert_close(energy_pointing(scores.clamp(min=0), masks), expected)
    torch.testing.assert_close(
        energy_pointing(scores, masks) + energy_pointing(scores, ~masks), (torch.full((3,), 100.0))
    )


def test_maps_without_energy_and_empty_masks_are_undefined():
    scores = torch.ones(4, 1, 3, 5)
    scores[0], scores[1], scores[2, 0, 0, 0] = 0, -1, torch.nan
    masks = torch.ones(4, 1, 3, 5, dtype=torch.bool)
    masks[3] = False
    assert energy_pointing(scores, masks).isnan().all()


def test_masks_of_another_shape_or_type_are_refused():
    scores, masks = torch.rand(2, 1, 4, 9), torch.ones(2, 1, 9, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"got \(2, 1, 9, 4\)"):
        energy_pointing(scores, masks)
    with pytest.raises(TypeError, match=r"got torch\.uint8"):
        energy_pointing(scores, masks.transpose(2, 3).byte())


def test_batches_of_unequal_length_weigh_by_image_and_leave_out_what_is_undefined():
    scores, masks = torch.randn(6, 1, 4, 7), torch.rand(6, 1, 4, 7) > 0.5
    masks[1] = False
    whole, parts = EnergyPointing(), EnergyPointing()
    whole.update(scores, masks)
    parts.update(scores[:5], masks[:5])
    parts.update(scores[5:], masks[5:])
    assert parts.compute() == whole.compute()
    assert whole.compute() == pytest.approx(energy_pointing(scores, masks).nanmean().item())
    parts.reset()
    parts.update(scores[:1], masks[:1])
    assert parts.compute() == energy_pointing(scores[:1], masks[:1])
