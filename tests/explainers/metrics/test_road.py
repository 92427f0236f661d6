"""ROAD: the interpolation against a direct solver, and the metrics on toy classifiers."""

import pytest
import torch
import torch.nn.functional as F

from explainers.metrics import CHOICES
from explainers.metrics.road import (
    Imputed,
    RoadLeRF,
    RoadLeRFProbability,
    RoadMoRF,
    RoadMoRFProbability,
    interpolate,
)


def solved(image, removed):
    """What interpolation should make of image (3 h w) without removed (h w): in float64, densely."""
    height, width = removed.shape
    places = removed.nonzero().tolist()
    index = {tuple(place): number for number, place in enumerate(places)}
    matrix = torch.zeros(len(places), len(places), dtype=torch.float64)
    right = torch.zeros(len(places), 3, dtype=torch.float64)
    for (row, column), number in index.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = (row + down, column + across)
                inside = 0 <= other[0] < height and 0 <= other[1] < width
                if (down, across) == (0, 0) or not inside:
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[number, number] += weight
                if other in index:
                    matrix[number, index[other]] -= weight
                else:
                    right[number] += weight * image[:, other[0], other[1]]
    filled = image.double()
    filled[:, removed] = torch.linalg.solve(matrix, right).T
    return filled


def scattered(height, width):
    return torch.rand(height, width)


def contiguous(height, width):
    return torch.linspace(-1, 1, height)[:, None] ** 2 + torch.linspace(-1, 1, width) ** 2


def constant(height, width):
    return torch.zeros(height, width)


def removal(maps, percent):
    """Where (b 1 h w) the highest percent of maps (b 1 h w) are, of equals the first."""
    pixels = maps.flatten(1)
    order = pixels.argsort(dim=1, descending=True, stable=True)
    gone = torch.zeros_like(pixels, dtype=torch.bool)
    gone.scatter_(1, order[:, : int(pixels.shape[1] * percent / 100)], True)
    return gone.view_as(maps)


def test_a_pixel_becomes_the_weighted_mean_of_its_eight_neighbours():
    images = torch.arange(9.0).view(1, 1, 3, 3).repeat(1, 3, 1, 1) ** 2 / 64
    removed = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    removed[..., 1, 1] = True
    # Sides 1, 9, 25, 49 weigh 1/6, corners 0, 4, 36, 64 weigh 1/12: 84/6 + 104/12 = 68 / 3.
    assert interpolate(images, removed)[0, :, 1, 1].tolist() == pytest.approx([68 / 192] * 3)


def test_a_pixel_in_a_corner_has_three_neighbours():
    images = torch.tensor([[0.0, 0.4], [0.6, 0.5]]).expand(1, 3, 2, 2)
    removed = torch.tensor([[[[True, False], [False, False]]]])
    # Twice .4, twice .6 and once .5, over 5.
    assert interpolate(images, removed)[0, 0, 0, 0].item() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [scattered, contiguous, constant])
@pytest.mark.parametrize(("size", "percent"), [((9, 14), 90), ((32, 45), 90), ((64, 64), 50)])
def test_agrees_with_a_direct_solver(kind, size, percent):
    images, maps = torch.rand(1, 3, *size), kind(*size)[None, None]
    removed = removal(maps, percent)
    actual = interpolate(images, removed)
    expected = solved(images[0], removed[0, 0])
    torch.testing.assert_close(actual[0].double(), expected, atol=1e-3, rtol=0)
    assert torch.equal(actual[0][:, ~removed[0, 0]], images[0][:, ~removed[0, 0]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [scattered, contiguous, constant])
def test_agrees_with_a_direct_solver_at_90_percent_of_64_pixels_a_side(kind):
    images, removed = torch.rand(1, 3, 64, 64), removal(kind(64, 64)[None, None], 90)
    expected = solved(images[0], removed[0, 0])
    torch.testing.assert_close(
        interpolate(images, removed)[0].double(), expected, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("percent", [10, 30, 50, 70])
@pytest.mark.parametrize("kind", [scattered, contiguous])
def test_shares_that_p_tame_reports_are_imputed_as_published_on_smooth_images(kind, percent):
    images = F.interpolate(torch.rand(1, 3, 12, 12), (48, 48), mode="bilinear")
    removed = removal(kind(48, 48)[None, None], percent)
    expected = solved(images[0], removed[0, 0])
    actual = interpolate(images, removed)[0].double()
    torch.testing.assert_close(actual, expected, atol=3e-4, rtol=0)


@pytest.mark.parametrize("percent", [10, 30, 50, 70])
@pytest.mark.parametrize(("end", "metric"), [("morf", RoadMoRF), ("lerf", RoadLeRF)])
def test_a_metric_of_one_share_shows_that_share_alone(end, metric, percent):
    assert CHOICES[f"road_{end}_{percent}"]().needs == metric((percent,)).needs
    (imputed,) = metric((percent,)).needs
    (version,) = imputed(torch.rand(1, 3, 10, 10), torch.rand(1, 1, 10, 10))
    assert version.shape == (1, 3, 10, 10)
    assert imputed.percents == (percent,)


def test_linear_ramps_are_restored():
    rows, columns = torch.linspace(0, 0.5, 96)[:, None], torch.linspace(0, 0.4, 128)
    images = (rows + columns).expand(1, 3, 96, 128)
    removed = torch.zeros(1, 1, 96, 128, dtype=torch.bool)
    removed[..., 5:91, 3:120] = True
    torch.testing.assert_close(interpolate(images, removed), images, atol=1e-3, rtol=0)


def test_a_constant_image_stays():
    images, removed = torch.full((1, 3, 40, 56), 0.3), removal(torch.rand(1, 1, 40, 56), 90)
    torch.testing.assert_close(interpolate(images, removed), images)


def test_batch_mates_do_not_matter():
    images = torch.rand(4, 3, 48, 64)
    maps = torch.stack([kind(48, 64) for kind in (contiguous, scattered, constant, scattered)])
    removed = removal(maps[:, None], 70)
    together = interpolate(images, removed)
    alone = torch.cat([interpolate(images[i : i + 1], removed[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_removes_the_stated_share_from_the_stated_end():
    images, maps = torch.rand(1, 3, 10, 12), torch.rand(1, 1, 10, 12)
    for most in (True, False):
        ranked = maps[0, 0].flatten().argsort(descending=most)
        for percent, version in zip(range(10, 100, 10), Imputed(most)(images, maps), strict=True):
            changed = (version != images).all(1).flatten().nonzero()[:, 0]
            assert set(changed.tolist()) == set(ranked[: 120 * percent // 100].tolist())


def test_noise_is_the_same_for_every_image_share_and_call():
    images, maps = torch.rand(3, 3, 40, 50), torch.rand(3, 1, 40, 50)
    clean = torch.stack(list(Imputed(True, noise=0.0)(images, maps)))
    torch.manual_seed(1)
    noise = torch.stack(list(Imputed(True)(images, maps))) - clean  # (9 3 3 h w)
    added = clean != images
    torch.testing.assert_close(noise[added].std(), torch.tensor(0.01), atol=1e-3, rtol=0)
    assert noise[~added].abs().max() == 0
    widest = torch.where(added[-1], noise[-1], 0.0)  # (3 3 h w)
    both = added[-1, :1] & added[-1, 1:2]
    torch.testing.assert_close(widest[:1][both], widest[1:2][both], atol=1e-6, rtol=0)
    torch.testing.assert_close(noise[0][added[0]], noise[-1][added[0]], atol=1e-6, rtol=0)


def test_a_single_bright_pixel_is_lost_first_or_last():
    # The classifier reads one pixel, the brightest and the top of the map. Most relevant first it
    # is imputed from black at every share; least relevant first it stays up to 90 %.
    images, maps = torch.zeros(1, 3, 10, 14), torch.rand(1, 1, 10, 14) / 2
    images[..., 4, 7], maps[..., 4, 7] = 1.0, 1.0
    figures = []
    for metric in (RoadMoRFProbability(noise=0.0), RoadLeRFProbability(noise=0.0)):
        (imputed,) = metric.needs
        metric.update(torch.stack([v[:, 0, 4, 7] for v in imputed(images, maps)], dim=1))
        figures.append(metric.compute().item())
    assert figures == pytest.approx([0, 100], abs=1e-3)


@pytest.mark.parametrize("metric", [RoadMoRF, RoadLeRF, RoadMoRFProbability, RoadLeRFProbability])
def test_uneven_batches_give_the_mean_over_images_and_shares(metric):
    responses = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    # 2/3, 1/3 and 1/3 of the shares: 4/9.
    metric = metric(percents=(25, 50, 75))
    metric.update(responses[:2])
    metric.update(responses[2:])
    assert metric.compute() == pytest.approx(400 / 9)


def test_hits_may_be_flags():
    metric = RoadLeRF(percents=(25, 50, 75))
    metric.update(torch.tensor([[True, True, False]]))
    assert metric.compute() == pytest.approx(200 / 3)


def test_accuracy_and_probability_are_shown_the_same_images():
    assert RoadMoRF().needs == RoadMoRFProbability().needs
    assert RoadLeRF().needs == RoadLeRFProbability().needs
    assert RoadMoRF().needs != RoadLeRF().needs


def test_only_the_order_of_the_map_matters():
    images, maps = torch.rand(2, 3, 20, 30), torch.rand(2, 1, 20, 30)
    versions = [torch.stack(list(Imputed(True)(images, m))) for m in (maps, 3 * maps**5 - 1)]
    assert torch.equal(*versions)


def test_a_constant_map_loses_the_same_pixels_from_either_end():
    images, maps = torch.rand(2, 3, 20, 30), torch.full((2, 1, 20, 30), 0.4)
    versions = [torch.stack(list(Imputed(most)(images, maps))) for most in (True, False)]
    assert torch.equal(*versions)


def test_a_map_with_nan_leaves_no_image_and_spares_the_others():
    images, maps = torch.rand(2, 3, 20, 30), torch.rand(2, 1, 20, 30)
    expected = torch.stack(list(Imputed(True)(images, maps)))
    maps[1, 0, 3, 4] = torch.nan
    versions = torch.stack(list(Imputed(True)(images, maps)))
    torch.testing.assert_close(versions[:, 0], expected[:, 0], atol=1e-5, rtol=0)
    assert versions[:, 1].isnan().all()
    metric = RoadMoRFProbability()
    metric.update(versions[:, :, 0, 0, 0].T)
    assert metric.values[0].isnan().tolist() == [False, True]


@pytest.mark.parametrize("percent", [0, 100])
def test_shares_that_leave_nothing_to_do_are_refused(percent):
    with pytest.raises(ValueError, match=f"got {percent}"):
        RoadMoRF(percents=(50, percent))


def test_seed_decides_the_noise():
    images, maps = torch.rand(1, 3, 20, 30), torch.rand(1, 1, 20, 30)
    first, again, other = (
        torch.stack(list(Imputed(True, seed=seed)(images, maps))) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert RoadMoRF(seed=3).needs != RoadMoRF().needs
