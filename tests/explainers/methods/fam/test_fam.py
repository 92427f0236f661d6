"""FAM's weights and scores; sums and identities are exact, so they are tested in float64."""

import pytest
import torch

from explainers import FAM
from explainers.methods.similarity.pooling import POOLS
from explainers.methods.similarity.similarities import METRICS, cosine

EXACT = {"rtol": 0, "atol": 1e-12}
TINY = {"model": "test_resnet", "pretrained": False}


@pytest.fixture
def references():
    return torch.randn(2, 6, dtype=torch.float64)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("metric", METRICS)
def test_contributions_add_up_to_the_similarity(maps, metric, pool):
    explainer = FAM(TINY, metric=metric, pool=pool)
    pooled = POOLS[pool].pooled(maps)
    references = torch.randn_like(pooled)
    contributions = explainer.contributions(maps, references)
    assert contributions.shape == (2, 6)
    expected = METRICS[metric](pooled, references)
    torch.testing.assert_close(contributions.sum(dim=1), expected, **EXACT)


def test_contributions_add_up_to_the_similarity_of_images(network, queries, supports):
    explainer = FAM(network)
    references = explainer.embed(supports)
    contributions = explainer.contributions(explainer.feature_maps(queries), references)
    expected = explainer.similarity(queries, references)
    torch.testing.assert_close(contributions.sum(dim=1), expected, **EXACT)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_mean_of_a_decomposition_is_the_similarity(maps, metric, pool):
    explainer = FAM(TINY, "decomposition", metric=metric, pool=pool)
    pooled = POOLS[pool].pooled(maps)
    references = torch.randn_like(pooled)
    scores = explainer.score_maps(maps, references)
    expected = METRICS[metric](pooled, references)
    torch.testing.assert_close(scores.mean(dim=(1, 2, 3)), expected, **EXACT)


def test_mean_of_a_decomposition_survives_the_way_to_the_image(network, queries, supports):
    explainer = FAM(network, "decomposition")
    references = explainer.embed(supports)
    # Bilinear interpolation keeps the mean where the stride divides the image.
    scores = explainer.attribute(queries, references)
    expected = explainer.similarity(queries, references)
    torch.testing.assert_close(scores.mean(dim=(1, 2, 3)), expected, **EXACT)


@pytest.mark.parametrize("pool", ["mean", "max", "gem"])
def test_both_sides_of_a_decomposition_have_the_similarity_as_mean(maps, pool):
    explainer = FAM(TINY, "decomposition", pool=pool)
    partners = torch.rand(2, 6, 5, 2, dtype=torch.float64)
    references = explainer.pool.pooled(partners)
    expected = cosine(explainer.pool.pooled(maps), references)
    for side in (
        explainer.score_maps(maps, references),
        explainer.partner_maps(partners, maps, references),
    ):
        torch.testing.assert_close(side.mean(dim=(1, 2, 3)), expected, **EXACT)


def literal(maps, references, normalisation):
    """Plain FAM of the cosine, an image and a channel at a time."""
    scores = []
    for image, reference in zip(maps, references, strict=True):
        pooled = [float(channel.mean()) for channel in image]
        length = sum(f * f for f in pooled) ** 0.5 * float(reference.norm())
        c = torch.tensor([f * float(g) / length for f, g in zip(pooled, reference, strict=True)])
        c = c.double()
        if normalisation == "minmax":
            w = (c - min(c)) / (max(c) - min(c))
        elif normalisation == "l1":
            w = c / sum(abs(c))
        elif normalisation == "relu_l1":
            w = c.clamp(min=0) / sum(c.clamp(min=0))
        elif normalisation == "softmax":
            w = len(c) ** (c / max(abs(c)))
            w = w / sum(w)
        else:
            w = c
        total = sum(weight * channel for weight, channel in zip(w, image, strict=True))
        scores.append(total.clamp(min=0)[None])
    return torch.stack(scores)


@pytest.mark.parametrize("normalisation", ["minmax", "l1", "relu_l1", "softmax", "none"])
def test_scores_are_the_formula_written_out(maps, references, normalisation):
    explainer = FAM(TINY, normalisation=normalisation)
    expected = literal(maps, references, normalisation)
    torch.testing.assert_close(
        explainer.score_maps(maps, references), expected, rtol=1e-5, atol=1e-7
    )


def test_cosine_does_not_see_the_scale_of_the_reference_or_the_maps(maps, references):
    explainer = FAM(TINY)
    expected = explainer.score_maps(maps, references)
    torch.testing.assert_close(explainer.score_maps(maps, 100 * references), expected, **EXACT)
    scaled = explainer.contributions(100 * maps, references)
    torch.testing.assert_close(scaled, explainer.contributions(maps, references), **EXACT)


@pytest.mark.parametrize("weights", ["plain", "decomposition"])
def test_order_of_the_channels_does_not_matter(maps, references, weights):
    explainer = FAM(TINY, weights)
    order = torch.randperm(6)
    expected = explainer.score_maps(maps, references)
    permuted = explainer.score_maps(maps[:, order], references[:, order])
    torch.testing.assert_close(permuted, expected, **EXACT)


def two_objects():
    """Maps of channel 0 where the left object is, 1 where the right one is, 2 all over."""
    maps = torch.zeros(1, 3, 2, 4, dtype=torch.float64)
    maps[:, 0, :, :2] = maps[:, 1, :, 2:] = 1
    maps[:, 2] = 0.5
    left, right = torch.eye(3, dtype=torch.float64)[:2, None]
    return maps, left + 0.1, right + 0.1


@pytest.mark.parametrize("weights", ["plain", "decomposition"])
@pytest.mark.parametrize("normalisation", ["minmax", "l1", "relu_l1", "softmax", "none"])
def test_reference_moves_the_map_from_one_object_to_the_other(weights, normalisation):
    explainer = FAM(TINY, weights, normalisation)
    maps, left, right = two_objects()
    for reference, own, other in (
        (left, slice(0, 2), slice(2, 4)),
        (right, slice(2, 4), slice(0, 2)),
    ):
        scores = explainer.score_maps(maps, reference)
        assert scores[..., own].sum() > 1.5 * scores[..., other].sum()


@pytest.mark.parametrize("channels", [4, 2000])
def test_softmax_sees_one_channel_among_any_number_of_others(channels):
    maps = torch.zeros(1, channels, 1, 2, dtype=torch.float64)
    maps[0, 0, 0, 0] = 1  # the only channel that the reference has, on the left
    maps[0, 1:, 0, 1] = 1
    references = torch.eye(channels, dtype=torch.float64)[:1]
    left, right = FAM(TINY, normalisation="softmax").score_maps(maps, references).flatten()
    # It weighs k, and each of the k - 1 others 1.
    assert left.item() == pytest.approx(channels / (2 * channels - 1))
    assert right.item() == pytest.approx((channels - 1) / (2 * channels - 1))
    colder = FAM(TINY, normalisation="softmax", temperature=0.5).score_maps(maps, references)
    # k^2, beside k - 1 others.
    assert colder[0, 0, 0, 0].item() == pytest.approx(channels**2 / (channels**2 + channels - 1))


def test_softmax_does_not_depend_on_the_unit_of_the_contributions(maps, references):
    expected = FAM(TINY, normalisation="softmax").score_maps(maps, references)
    dot_products = FAM(TINY, normalisation="softmax", metric="dot")
    torch.testing.assert_close(dot_products.score_maps(maps, 7 * references), expected, **EXACT)
