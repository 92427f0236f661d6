"""Deletion, on a classifier whose probability is a weighted sum of the pixels."""

from itertools import pairwise

import pytest
import torch

from explainers.images.pixel_removal import blur, mean
from explainers.metrics.deletion import Deleted, Deletion


def respond(images, weights):
    """Probability (b 1): pixel values, averaged over the channels, times weights (h w)."""
    return (images.mean(1) * weights).flatten(1).sum(1, keepdim=True)


def scored(metric, weights, *batches):
    """The metric after batches of images and maps."""
    for images, maps in batches:
        (deleted,) = metric.needs
        metric.update(torch.cat([respond(v, weights) for v in deleted(images, maps)], dim=1))
    return metric


@pytest.fixture
def weights():
    """Positive weights (6 8) that sum to 1."""
    return torch.rand(6, 8).flatten().softmax(0).view(6, 8)


def test_known_area():
    maps = torch.tensor([[[[0.9, 0.5], [0.3, 0.1]]]])
    weights = torch.tensor([[0.4, 0.3], [0.2, 0.1]])
    # p falls from 1 by .4, .3, .2 and .1: (1/2 + .6 + .3 + .1 + 0/2) / 4 = .375.
    metric = scored(Deletion(step=1), weights, (torch.ones(1, 3, 2, 2), maps))
    assert metric.compute() == pytest.approx(37.5)


@pytest.mark.parametrize("baseline", [mean, blur])
def test_agrees_with_pixels_set_one_by_one(weights, baseline):
    images, maps = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8)
    filling = baseline(images).expand_as(images)
    expected = []
    for image, scores, fill in zip(images, maps.flatten(1), filling, strict=True):
        shown = image.clone()
        curve = [(shown.mean(0) * weights).sum().item()]
        ranked = sorted(range(48), key=lambda pixel: (-scores[pixel].item(), pixel))
        for place, pixel in enumerate(ranked, start=1):
            shown[:, pixel // 8, pixel % 8] = fill[:, pixel // 8, pixel % 8]
            if place % 12 == 0:
                curve.append((shown.mean(0) * weights).sum().item())
        expected.append(sum((a + b) / 2 * 12 / 48 for a, b in pairwise(curve)))
    metric = scored(Deletion(step=12, baseline=baseline), weights, (images, maps))
    assert metric.compute() == pytest.approx(100 * sum(expected) / 2, rel=1e-5)


def test_first_version_is_the_image_and_last_the_baseline():
    images = torch.rand(2, 3, 20, 30)
    versions = list(Deleted(step=100, baseline=mean)(images, torch.rand(2, 1, 20, 30)))
    assert torch.equal(versions[0], images)
    assert torch.equal(versions[-1], mean(images).expand_as(images))


def test_only_the_order_of_the_map_matters(weights):
    images, maps = torch.rand(3, 3, 6, 8), torch.rand(3, 1, 6, 8)
    linear = scored(Deletion(step=5), weights, (images, maps))
    stretched = scored(Deletion(step=5), weights, (images, 3 * maps**5 - 1))
    assert linear.compute() == stretched.compute()


def test_of_equal_values_the_first_goes_first():
    versions = Deleted(step=2)(torch.ones(1, 3, 2, 3), torch.full((1, 1, 2, 3), 0.5))
    left = [version[0, 0].flatten().tolist() for version in versions]
    assert left[1:3] == [[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]]


def test_the_classifiers_own_weights_are_the_best_map(weights):
    images = torch.ones(1, 3, 6, 8)
    own = scored(Deletion(step=5), weights, (images, weights[None, None])).compute()
    reversed_ = scored(Deletion(step=5), weights, (images, -weights[None, None])).compute()
    # Every pixel removed early by one is removed late by the other: the curves mirror each other.
    assert own < 50
    assert own + reversed_ == pytest.approx(100, abs=1)


def test_a_map_with_nan_is_undefined_and_left_out(weights):
    images, maps = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8)
    alone = scored(Deletion(step=5), weights, (images[:1], maps[:1]))
    maps[1, 0, 2, 3] = torch.nan
    both = scored(Deletion(step=5), weights, (images, maps))
    assert both.values[0].isnan().tolist() == [False, True]
    assert both.compute() == alone.compute()


def test_uneven_batches_give_the_figure_of_one(weights):
    images, maps = torch.rand(5, 3, 6, 8), torch.rand(5, 1, 6, 8)
    parts = [(images[:4], maps[:4]), (images[4:], maps[4:])]
    whole = scored(Deletion(step=5), weights, (images, maps)).compute()
    assert scored(Deletion(step=5), weights, *parts).compute() == pytest.approx(whole.item())


def test_equal_deletions_are_shown_once():
    assert len({Deleted(), Deleted(step=224 * 8), Deleted(baseline=mean)}) == 2


def test_a_step_of_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        Deletion(step=0)


def test_area_of_the_mean_colour_of_the_data_is_that_of_rise(weights):
    # RISE deletes to 0 of normalised images: the mean colour of the data set, whatever the image.
    colour = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    images, maps = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8)
    areas = []
    for image, scores in zip(images, maps.flatten(1), strict=True):
        order = scores.argsort(descending=True).tolist()
        shown, curve = image.double().flatten(1), []
        for done in range(0, len(order) + 6, 6):
            curve.append((shown.mean(0) * weights.double().flatten()).sum().item())
            shown[:, order[done : done + 6]] = colour[:, 0].double()
        areas.append((sum(curve) - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1))
    metric = scored(Deletion(step=6, baseline=lambda images: colour), weights, (images, maps))
    assert metric.compute().item() / 100 == pytest.approx(sum(areas) / 2, rel=0, abs=3e-7)
