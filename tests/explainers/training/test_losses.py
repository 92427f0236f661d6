import pytest
import torch

from explainers.training.losses import (
    area,
    confidence_lost,
    mean_areas,
    published_variation_factor,
    variation,
)


def test_area_of_power_one_is_the_share_kept():
    maps = torch.zeros(1, 1, 4, 4)
    maps[..., :1, :] = 1
    assert area(maps, epsilon=0.0) == 0.25


def test_area_raises_each_pixel_to_the_power():
    maps = torch.tensor([0.25, 1.0]).view(1, 1, 1, 2)
    # sqrt(0.25) = 0.5 and sqrt(1) = 1.
    assert area(maps, power=0.5, epsilon=0.0) == pytest.approx(0.75)


def test_area_has_a_finite_gradient_at_zero():
    maps = torch.zeros(1, 1, 2, 2, requires_grad=True)
    area(maps, power=0.3).backward()
    assert maps.grad.isfinite().all()


def test_variation_of_one_vertical_edge():
    maps = torch.zeros(1, 1, 4, 4)
    maps[..., 2:] = 1
    # Four horizontal steps of 1, over 16 pixels.
    assert variation(maps) == pytest.approx(4 / 16)


def test_variation_counts_each_border_pixel_once():
    maps = torch.full((1, 1, 4, 4), 0.5)
    # No step; 12 border pixels of 0.25, at 0.3 each, over 16 pixels.
    assert variation(maps, border=0.3) == pytest.approx(0.3 * 12 * 0.25 / 16)


def test_variation_counts_corners_twice_on_request():
    maps = torch.full((1, 1, 4, 4), 0.5)
    # Two rows and two columns of 4 pixels.
    assert variation(maps, 0.3, corners_twice=True) == pytest.approx(0.3 * 16 * 0.25 / 16)


def test_published_coefficient_is_reproduced_at_batch_32_and_56_pixels():
    maps = torch.rand(32, 32, 56, 56, dtype=torch.float64)
    total = 0.0
    for row in maps:
        for one in row:
            total += ((one[1:] - one[:-1]) ** 2).sum() + ((one[:, 1:] - one[:, :-1]) ** 2).sum()
            rows = (one[0] ** 2).sum() + (one[-1] ** 2).sum()
            columns = (one[:, 0] ** 2).sum() + (one[:, -1] ** 2).sum()
            total += 0.3 * (rows + columns)
    published = total / (2 * 32)
    factor = published_variation_factor(32, 56, 56)
    assert factor == 50176
    assert factor * variation(maps, 0.3, True) == pytest.approx(published.item(), rel=1e-12)
    assert factor * variation(maps, 0.3) < published * (1 - 1e-4)


def test_mean_areas_leave_out_other_images_of_the_same_class():
    labels = torch.tensor([5, 7, 5])
    values = torch.tensor([[0.1, 0.2, 0.9], [0.4, 0.5, 0.6], [0.9, 0.8, 0.3]])
    masks = values[..., None, None].expand(3, 3, 2, 2)
    on_target, off_target = mean_areas(masks, labels, labels[None])
    # Images 0 and 2 share a class: the two 0.9 are on target.
    assert on_target == pytest.approx((0.1 + 0.5 + 0.3 + 0.9 + 0.9) / 5)
    assert off_target == pytest.approx((0.2 + 0.4 + 0.6 + 0.8) / 4)


def test_mean_areas_of_classes_that_differ_from_image_to_image():
    masks = torch.tensor([[0.1, 0.2], [0.3, 0.4]])[..., None, None]
    on_target, off_target = mean_areas(masks, torch.tensor([5, 7]), torch.tensor([[5, 7], [7, 7]]))
    assert on_target == pytest.approx((0.1 + 0.3 + 0.4) / 3)
    assert off_target == pytest.approx(0.2)


def test_confidence_lost_is_the_drop_less_the_gain():
    before, after = torch.tensor([0.8, 0.5, 0.18]), torch.tensor([0.2, 0.5, 0.6])
    # The first loses 0.6 of its 0.8, the second nothing, the third gains 0.42 of 0.84.
    assert confidence_lost(before, after) == pytest.approx((0.75 + 0 - 0.5) / 3)


def test_confidence_lost_is_finite_for_a_class_of_probability_zero():
    after = torch.zeros(2, requires_grad=True)
    lost = confidence_lost(torch.tensor([0.0, 0.5]), after)
    assert lost == 0.5  # nothing of the first, all of the second
    lost.backward()
    assert after.grad.isfinite().all()


def test_confidence_lost_is_finite_for_a_certain_prediction():
    before = torch.tensor([1.0])
    assert confidence_lost(before, before) == 0
