"""Insertion, on a classifier whose probability is a weighted sum of the pixels."""

from itertools import pairwise

import pytest
import torch
from torchvision.transforms.v2.functional import gaussian_blur

from explainers.metrics.insertion import Inserted, Insertion, area_under_curve, blur


def respond(images, weights):
    """Probability (b 1): pixel values, averaged over the channels, times weights (h w)."""
    return (images.mean(1) * weights).flatten(1).sum(1, keepdim=True)


def scored(metric, weights, *batches):
    """The metric after batches of images and maps."""
    for images, maps in batches:
        (inserted,) = metric.needs
        metric.update(torch.cat([respond(v, weights) for v in inserted(images, maps)], dim=1))
    return metric


@pytest.fixture
def weights():
    """Positive weights (6 8) that sum to 1."""
    return torch.rand(6, 8).flatten().softmax(0).view(6, 8)


def test_known_area():
    images = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(1, 3, 2, 2)
    maps = torch.tensor([[[[0.9, 0.5], [0.3, 0.1]]]])
    weights = torch.tensor([[0.4, 0.3], [0.2, 0.1]])
    # So wide a Gaussian averages three pixels alike, one of them reflected: a pixel is left 1/3 and
    # its neighbour gets 2/3 along each side, which makes [[1, 2], [2, 4]] / 9 of the image.
    # p = (.4 + .6 + .4 + .4) / 9 = .2 at first; the first pixel brings .4 * 8/9, the others take
    # .3 * 2/9, .2 * 2/9 and .1 * 4/9: .2, .5556, .4889, .4444, .4.
    # Area: (.2/2 + .5556 + .4889 + .4444 + .4/2) / 4 = .44722.
    metric = scored(Insertion(step=1, sigma=1e6), weights, (images, maps))
    assert metric.compute() == pytest.approx(44.7222, rel=1e-4)


def test_area_of_a_straight_rise_is_half():
    torch.testing.assert_close(
        area_under_curve(torch.linspace(0, 1, 29)[None]), torch.tensor([50.0])
    )


def test_agrees_with_pixels_set_one_by_one(weights):
    images, maps = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8)
    expected = []
    for image, scores, start in zip(images, maps.flatten(1), blur(images, 50.0), strict=True):
        shown = start.clone()
        curve = [(shown.mean(0) * weights).sum().item()]
        ranked = sorted(range(48), key=lambda pixel: (-scores[pixel].item(), pixel))
        for place, pixel in enumerate(ranked, start=1):
            shown[:, pixel // 8, pixel % 8] = image[:, pixel // 8, pixel % 8]
            if place % 12 == 0:
                curve.append((shown.mean(0) * weights).sum().item())
        expected.append(sum((a + b) / 2 * 12 / 48 for a, b in pairwise(curve)))
    metric = scored(Insertion(step=12, sigma=50.0), weights, (images, maps))
    assert metric.compute() == pytest.approx(100 * sum(expected) / 2, rel=1e-5)


def test_first_version_is_the_blurred_image_and_last_the_image():
    images = torch.rand(2, 3, 20, 30)
    versions = list(Inserted(step=100)(images, torch.rand(2, 1, 20, 30)))
    assert torch.equal(versions[0], blur(images, 5.0))
    assert torch.equal(versions[-1], images)


def test_steps_are_equal_to_within_a_pixel_and_never_longer_than_asked():
    images = torch.rand(1, 3, 5, 7)
    versions = list(Inserted(step=9, sigma=100.0)(images, torch.rand(1, 1, 5, 7)))
    shown = [(version == images).all(1).sum().item() for version in versions]
    # 35 pixels in steps of at most 9 are 4 steps, of 8.75 pixels on average.
    assert shown == [0, 9, 18, 26, 35]


def test_224_pixels_a_side_take_28_steps_of_the_published_size():
    images = torch.rand(1, 3, 224, 224)
    assert sum(1 for _ in Inserted()(images, images[:, :1])) == 29


def test_only_the_order_of_the_map_matters(weights):
    images, maps = torch.rand(3, 3, 6, 8), torch.rand(3, 1, 6, 8)
    linear = scored(Insertion(step=5, sigma=50.0), weights, (images, maps))
    stretched = scored(Insertion(step=5, sigma=50.0), weights, (images, 3 * maps**5 - 1))
    assert linear.compute() == stretched.compute()


def test_of_equal_values_the_first_comes_first():
    images = torch.rand(1, 3, 2, 3)
    versions = Inserted(step=2, sigma=100.0)(images, torch.full((1, 1, 2, 3), 0.5))
    shown = [(version == images).all(1).flatten().tolist() for version in versions]
    assert [flags.index(False) for flags in shown[:-1]] == [0, 2, 4]


def test_a_map_with_nan_is_undefined_and_left_out(weights):
    images, maps = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8)
    alone = scored(Insertion(step=5), weights, (images[:1], maps[:1]))
    maps[1, 0, 2, 3] = torch.nan
    both = scored(Insertion(step=5), weights, (images, maps))
    assert both.values[0].isnan().tolist() == [False, True]
    assert both.compute() == alone.compute()


def test_uneven_batches_give_the_figure_of_one(weights):
    images, maps = torch.rand(5, 3, 6, 8), torch.rand(5, 1, 6, 8)
    parts = [(images[:4], maps[:4]), (images[4:], maps[4:])]
    whole = scored(Insertion(step=5), weights, (images, maps)).compute()
    assert scored(Insertion(step=5), weights, *parts).compute() == pytest.approx(whole.item())


def test_images_of_two_sizes_enter_one_figure():
    metric = Insertion(step=5)
    metric.update(torch.full((1, 11), 0.2))
    metric.update(torch.full((1, 4), 0.4))
    assert metric.compute() == pytest.approx(30.0)


def test_a_step_of_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        Insertion(step=0)


def test_a_blur_of_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        Insertion(sigma=0.0)


@pytest.mark.parametrize("step", [40, 60])
def test_area_of_a_given_start_is_that_of_rise(step):
    # Blurred with 11 x 11 pixels of a Gaussian, as published, and the pixels' share in double.
    def narrow(images):
        return gaussian_blur(images, [11, 11], [5.0, 5.0])

    weights = torch.rand(20, 24).flatten().softmax(0).view(20, 24)
    images, maps = torch.rand(2, 3, 20, 24), torch.rand(2, 1, 20, 24)
    areas = []
    for image, scores in zip(images, maps.flatten(1), strict=True):
        order = scores.argsort(descending=True).tolist()
        shown, curve = narrow(image[None])[0].double().flatten(1), []
        for done in range(0, len(order) + step, step):
            curve.append((shown.mean(0) * weights.double().flatten()).sum().item())
            taken = order[done : done + step]
            shown[:, taken] = image.double().flatten(1)[:, taken]
        # Their area: the trapezoid over equally spaced steps.
        areas.append((sum(curve) - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1))
    metric = scored(Insertion(step=step, start=narrow), weights, (images, maps))
    assert metric.compute().item() / 100 == pytest.approx(sum(areas) / 2, rel=0, abs=3e-7)
