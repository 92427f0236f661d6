"""Fidelity, on a classifier whose logit is a weighted sum of the pixels."""

import pytest
import torch

from explainers.images.pixel_removal import mean
from explainers.metrics.fidelity import Fidelity, Removed


def respond(images, weights):
    """Logit (b 1): pixel values, averaged over the channels, times weights (h w)."""
    return (images.mean(1) * weights).flatten(1).sum(1, keepdim=True)


def scored(metric, weights, *batches):
    """The metric after batches of images and maps."""
    for images, maps in batches:
        curves = [
            torch.cat([respond(version, weights) for version in removed(images, maps)], dim=1)
            for removed in metric.needs
        ]
        metric.update(*curves)
    return metric


def test_known_area():
    weights = torch.arange(1.0, 11.0).view(2, 5)
    # After k of 10 the top k, 10 + 9 + ..., are gone from one curve and the bottom k, 1 + 2 + ...,
    # from the other: apart by 10k - k**2, over k = 1 to 9 450 - 285 = 165, times a tenth.
    metric = scored(Fidelity(), weights, (torch.ones(1, 3, 2, 5), weights[None, None]))
    assert metric.compute() == pytest.approx(16.5)


def test_agrees_with_pixels_removed_one_by_one():
    weights = torch.randn(6, 10)
    images, maps = torch.rand(2, 3, 6, 10), torch.rand(2, 1, 6, 10)
    expected = []
    for image, scores in zip(images, maps.flatten(1).tolist(), strict=True):
        ranked = sorted(range(60), key=lambda pixel: (-scores[pixel], pixel))
        curves = []
        for order in (ranked[::-1], ranked):
            shown, curve = image.clone(), []
            for place, pixel in enumerate([None, *order]):
                if pixel is not None:
                    shown[:, pixel // 10, pixel % 10] = image.mean((1, 2))
                if place % 6 == 0:
                    curve.append((shown.mean(0) * weights).sum().item())
            curves.append(torch.tensor(curve))  # from the whole image to the empty one
        expected.append(torch.trapezoid(curves[0] - curves[1], dx=0.1).item())
    metric = scored(Fidelity(baseline=mean), weights, (images, maps))
    assert metric.compute() == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_a_map_turned_around_has_the_opposite_fidelity():
    weights = torch.randn(6, 10)
    images, maps = torch.rand(3, 3, 6, 10), torch.rand(3, 1, 6, 10)
    forward = scored(Fidelity(), weights, (images, maps)).compute()
    backward = scored(Fidelity(), weights, (images, 1 - maps)).compute()
    assert forward == pytest.approx(-backward.item(), rel=1e-4)


def test_a_constant_map_has_no_fidelity():
    images = torch.rand(3, 3, 6, 10)
    metric = scored(Fidelity(), torch.randn(6, 10), (images, torch.ones(3, 1, 6, 10)))
    assert metric.compute() == 0


def test_shares_are_parted_evenly_and_the_ends_left_out():
    versions = Removed(True, steps=4)(torch.ones(1, 3, 3, 5), torch.rand(1, 1, 3, 5))
    assert [int((version[0, 0] == 0).sum()) for version in versions] == [4, 8, 11]


def test_a_map_with_nan_is_undefined_and_left_out():
    weights = torch.randn(6, 10)
    images, maps = torch.rand(2, 3, 6, 10), torch.rand(2, 1, 6, 10)
    alone = scored(Fidelity(), weights, (images[:1], maps[:1]))
    maps[1, 0, 2, 3] = torch.nan
    both = scored(Fidelity(), weights, (images, maps))
    assert both.values[0].isnan().tolist() == [False, True]
    assert both.compute() == alone.compute()


def test_uneven_batches_give_the_figure_of_one():
    weights = torch.randn(6, 10)
    images, maps = torch.rand(5, 3, 6, 10), torch.rand(5, 1, 6, 10)
    parts = [(images[:4], maps[:4]), (images[4:], maps[4:])]
    whole = scored(Fidelity(), weights, (images, maps)).compute()
    assert scored(Fidelity(), weights, *parts).compute() == pytest.approx(whole.item())


def test_a_single_step_is_refused():
    with pytest.raises(ValueError, match="got 1"):
        Fidelity(steps=1)
