import math

import pytest
import torch

from explainers.errors import InputError
from explainers.metrics.parts.map_similarity import pearson, spearman, ssim

SIMILARITIES = [pearson, spearman, ssim]


def _slow_pearson(a, b):
    a, b = a.flatten().tolist(), b.flatten().tolist()
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    product = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    square_a = sum((x - mean_a) ** 2 for x in a)
    square_b = sum((y - mean_b) ** 2 for y in b)
    return product / math.sqrt(square_a * square_b)


def _slow_ranks(values):
    values = values.flatten().tolist()
    ordered = sorted(values)
    places = {
        value: [place + 1 for place, other in enumerate(ordered) if other == value]
        for value in set(values)
    }
    return torch.tensor([sum(places[value]) / len(places[value]) for value in values])


def _slow_ssim(a, b):
    """Wang et al. 2004, a window at a time, in float64."""
    a, b = ((m - m.min()) / (m.max() - m.min()) for m in (a.double(), b.double()))
    weights = torch.tensor(
        [[math.exp(-(y**2 + x**2) / 4.5) for x in range(-5, 6)] for y in range(-5, 6)]
    ).double()
    weights /= weights.sum()
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            p, q = a[top : top + 11, left : left + 11], b[top : top + 11, left : left + 11]
            mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
            variance_p = (weights * (p - mean_p) ** 2).sum()
            variance_q = (weights * (q - mean_q) ** 2).sum()
            covariance = (weights * (p - mean_p) * (q - mean_q)).sum()
            luminance = (2 * mean_p * mean_q + 1e-4) / (mean_p**2 + mean_q**2 + 1e-4)
            structure = (2 * covariance + 9e-4) / (variance_p + variance_q + 9e-4)
            values.append(float(luminance * structure))
    return sum(values) / len(values)


def test_pearson_is_known():
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2).
    first, second = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 1.0])
    value = pearson(first.view(1, 1, 1, 3), second.view(1, 1, 1, 3))
    torch.testing.assert_close(value, torch.tensor([0.5]))


def test_ties_share_the_mean_of_their_ranks():
    # Ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4): 4.5 / sqrt(4.5 * 5).
    first, second = torch.tensor([1.0, 7.0, 7.0, 8.0]), torch.tensor([0.0, 1.0, 2.0, 90.0])
    value = spearman(first.view(1, 1, 2, 2), second.view(1, 1, 2, 2))
    torch.testing.assert_close(value, torch.tensor([math.sqrt(0.9)]))


def test_each_pair_gets_what_a_slow_loop_gives_it():
    first = torch.randint(0, 6, (3, 1, 13, 16)).float()  # with ties
    second = first + 4 * torch.rand(3, 1, 13, 16)
    expected = [_slow_pearson(a, b) for a, b in zip(first, second, strict=True)]
    torch.testing.assert_close(pearson(first, second), torch.tensor(expected))
    expected = [
        _slow_pearson(_slow_ranks(a), _slow_ranks(b)) for a, b in zip(first, second, strict=True)
    ]
    torch.testing.assert_close(spearman(first, second), torch.tensor(expected))
    expected = [_slow_ssim(a[0], b[0]) for a, b in zip(first, second, strict=True)]
    torch.testing.assert_close(ssim(first, second), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_ssim_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics", reason="needs the extra demo")
    first, second = torch.rand(1, 1, 40, 56), torch.rand(1, 1, 40, 56)
    first[0, 0, 0, :2], second[0, 0, 0, :2] = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])
    expected = metrics.structural_similarity(
        first[0, 0].double().numpy(),
        second[0, 0].double().numpy(),
        data_range=1.0,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    assert float(ssim(first, second)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_map_is_like_itself(similarity):
    maps = torch.randn(2, 1, 16, 20)
    torch.testing.assert_close(similarity(maps, maps), torch.ones(2))


@pytest.mark.parametrize("similarity", [pearson, spearman])
def test_map_is_the_opposite_of_its_negative(similarity):
    maps = torch.randn(2, 1, 16, 20)
    torch.testing.assert_close(similarity(maps, -maps), -torch.ones(2))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_scale_and_offset_do_not_count(similarity, scale):
    first, second = torch.rand(2, 1, 16, 20), torch.rand(2, 1, 16, 20)
    expected = similarity(first, second)
    torch.testing.assert_close(similarity(scale * (first + 2), second), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_order_of_the_two_does_not_count(similarity):
    first, second = torch.rand(2, 1, 16, 20), torch.rand(2, 1, 16, 20)
    torch.testing.assert_close(similarity(first, second), similarity(second, first))


def test_ranks_ignore_everything_but_the_order():
    first, second = torch.rand(2, 1, 16, 20), torch.rand(2, 1, 16, 20)
    torch.testing.assert_close(spearman(first**5, second.exp()), spearman(first, second))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, torch.inf, -torch.inf])
def test_constant_and_not_finite_maps_give_nan_and_leave_their_neighbours_alone(similarity, value):
    first, second = torch.rand(3, 1, 16, 20), torch.rand(3, 1, 16, 20)
    expected = similarity(first, second)
    if torch.tensor(value).isfinite():
        first[1] = value
    else:
        first[1, 0, 3, 4] = value
    for actual in (similarity(first, second), similarity(second, first)):
        assert actual.isnan().tolist() == [False, True, False]
        torch.testing.assert_close(actual[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_maps_may_be_views(similarity):
    both = torch.rand(2, 2, 16, 20)
    expected = similarity(both[:, :1].clone(), both[:, 1:].clone())
    torch.testing.assert_close(similarity(both[:, :1], both[:, 1:]), expected)


def test_ssim_of_maps_smaller_than_its_window_is_refused():
    with pytest.raises(InputError, match="at least 11 x 11 pixels, got 10 x 14"):
        ssim(torch.rand(1, 1, 10, 14), torch.rand(1, 1, 10, 14))
