"""Box sensitivity, on a classifier whose logit is a weighted sum of the pixels."""

import numpy as np
import pytest
import torch

from explainers.metrics.box_sensitivity import Boxes, BoxSensitivity, box_sensitivity


def respond(images, weights):
    """Logit (b 1): pixel values, averaged over the channels, times weights (h w)."""
    return (images.mean(1) * weights).flatten(1).sum(1, keepdim=True)


def scored(metric, weights, *batches):
    """The metric after batches of images and maps."""
    for images, maps in batches:
        (boxes,) = metric.needs
        boxed = torch.cat([respond(version, weights) for version in boxes(images, maps)], dim=1)
        metric.update(boxed, maps)
    return metric


def test_known_correlation():
    boxed, sums = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 2.0, 3.0]]).double()
    # Drops -3, -1, -2 are -1, 1, 0 from their mean, the sums -1, 0, 1: r = 1 / (sqrt 2 * sqrt 2).
    assert box_sensitivity(boxed, sums).item() == pytest.approx(0.5)


def test_what_the_classifier_sums_up_is_the_perfect_map_and_its_negative_the_worst():
    weights, images = torch.randn(12, 20), torch.rand(2, 3, 12, 20)
    maps = images.mean(1, keepdim=True) * weights
    best = scored(BoxSensitivity(size=4), weights, (images, maps)).compute()
    worst = scored(BoxSensitivity(size=4), weights, (images, -maps)).compute()
    assert (best, worst) == (pytest.approx(1), pytest.approx(-1))


def test_agrees_with_squares_cut_out_one_by_one():
    weights, images, maps = torch.randn(12, 20), torch.rand(2, 3, 12, 20), torch.rand(2, 1, 12, 20)
    metric = scored(BoxSensitivity(size=5, count=30, seed=3), weights, (images, maps))
    expected = []
    for image, scores in zip(images, maps, strict=True):
        drops, sums = [], []
        for square in Boxes(size=5, count=30, seed=3).squares(images)[:, 0]:
            rows, columns = square.any(1).nonzero()[:, 0], square.any(0).nonzero()[:, 0]
            area = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            without = image.clone()
            without[:, area[0], area[1]] = 0
            drops.append(((image - without).mean(0) * weights).sum().item())
            sums.append(scores[0][area].sum().item())
        expected.append(np.corrcoef(drops, sums)[0, 1])
    assert metric.compute() == pytest.approx(np.mean(expected), abs=1e-5)


def test_squares_have_the_size_and_reach_every_border():
    squares = Boxes(size=3, count=400).squares(torch.rand(1, 3, 7, 9))
    assert squares.shape == (400, 1, 7, 9)
    assert (squares.flatten(1).sum(1) == 9).all()
    assert (squares.any(2).sum(-1) == 3).all()
    assert squares.any(0).all()


def test_squares_are_those_of_the_seed():
    images = torch.rand(1, 3, 20, 30)
    torch.manual_seed(1)
    assert torch.equal(Boxes(size=4).squares(images), Boxes(size=4).squares(images))
    assert not torch.equal(Boxes(size=4).squares(images), Boxes(size=4, seed=1).squares(images))


def test_scale_and_offset_of_the_map_do_not_matter():
    weights, images, maps = torch.randn(12, 20), torch.rand(2, 3, 12, 20), torch.rand(2, 1, 12, 20)
    plain = scored(BoxSensitivity(size=5), weights, (images, maps)).compute()
    moved = scored(BoxSensitivity(size=5), weights, (images, 7 * maps - 2)).compute()
    assert plain == pytest.approx(moved.item(), abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.3, torch.nan])
def test_a_constant_map_and_one_with_nan_are_undefined_and_left_out(value):
    weights, images, maps = torch.randn(12, 20), torch.rand(2, 3, 12, 20), torch.rand(2, 1, 12, 20)
    alone = scored(BoxSensitivity(size=5), weights, (images[:1], maps[:1]))
    maps[1] = value
    both = scored(BoxSensitivity(size=5), weights, (images, maps))
    assert both.values[0].isnan().tolist() == [False, True]
    assert both.compute() == alone.compute()


def test_one_nan_anywhere_makes_a_map_undefined():
    weights, images, maps = torch.randn(12, 20), torch.rand(1, 3, 12, 20), torch.rand(1, 1, 12, 20)
    maps[0, 0, 0, 0] = torch.nan
    metric = scored(BoxSensitivity(size=2, count=2), weights, (images, maps))
    assert metric.values[0].isnan().tolist() == [True]


def test_a_classifier_that_sees_no_square_makes_it_undefined():
    metric = scored(
        BoxSensitivity(size=5),
        torch.zeros(12, 20),
        (torch.rand(2, 3, 12, 20), torch.rand(2, 1, 12, 20)),
    )
    assert metric.values[0].isnan().tolist() == [True, True]
    assert metric.compute().isnan()


def test_uneven_batches_give_the_figure_of_one():
    weights, images, maps = torch.randn(12, 20), torch.rand(5, 3, 12, 20), torch.rand(5, 1, 12, 20)
    parts = [(images[:4], maps[:4]), (images[4:], maps[4:])]
    whole = scored(BoxSensitivity(size=5), weights, (images, maps)).compute()
    split = scored(BoxSensitivity(size=5), weights, *parts).compute()
    assert split == pytest.approx(whole.item(), abs=1e-6)


def test_squares_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="squares of 13 pixels do not fit into images of 12 x 20"):
        next(Boxes(size=13)(torch.rand(1, 3, 12, 20), torch.rand(1, 1, 12, 20)))


@pytest.mark.parametrize(("arguments", "got"), [({"size": 0}, "got 0"), ({"count": 1}, "got 1")])
def test_no_square_and_a_single_one_are_refused(arguments, got):
    with pytest.raises(ValueError, match=got):
        BoxSensitivity(**arguments)
