"""ROAD: shares that are removed, noise, and the metrics on toy classifiers."""

import pytest
import torch

from explainers.metrics import CHOICES
from explainers.metrics.road import (
    Imputed,
    RoadLeRF,
    RoadLeRFProbability,
    RoadMoRF,
    RoadMoRFProbability,
)


@pytest.mark.parametrize("percent", [10, 30, 50, 70])
@pytest.mark.parametrize(("end", "metric"), [("morf", RoadMoRF), ("lerf", RoadLeRF)])
def test_a_metric_of_one_share_shows_that_share_alone(end, metric, percent):
    assert CHOICES[f"road_{end}_{percent}"]().needs == metric((percent,)).needs
    (imputed,) = metric((percent,)).needs
    (version,) = imputed(torch.rand(1, 3, 10, 10), torch.rand(1, 1, 10, 10))
    assert version.shape == (1, 3, 10, 10)
    assert imputed.percents == (percent,)


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
