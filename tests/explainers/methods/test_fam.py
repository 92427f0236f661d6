"""What is peculiar to FAM; sums and identities are exact, so they are tested in float64."""

import pytest
import torch
from torch import nn

from explainers import FAM, FrozenClassifier
from explainers.errors import InputError, TargetError
from explainers.methods.similarity.pooling import POOLS
from explainers.methods.similarity.similarities import METRICS, cosine, dot

EXACT = {"rtol": 0, "atol": 1e-12}
TINY = {"model": "test_resnet", "pretrained": False}


@pytest.fixture
def network(source):
    return FrozenClassifier.of(source).double()


@pytest.fixture
def queries():
    """Two images (2 3 96 128) of noise in [0, 1], float64, wider than high."""
    return torch.rand(2, 3, 96, 128, dtype=torch.float64)


@pytest.fixture
def supports():
    """Two other images, higher than wide."""
    return torch.rand(2, 3, 128, 64, dtype=torch.float64)


@pytest.fixture
def maps():
    return torch.rand(2, 6, 3, 4, dtype=torch.float64)


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


def test_random_reference_changes_the_map(network, queries, supports):
    explainer = FAM(network)
    references = explainer.embed(supports)
    scores = explainer(queries, references)
    shuffled = references[:, torch.randperm(references.shape[1])]
    correlation = torch.corrcoef(
        torch.stack([scores.flatten(), explainer(queries, shuffled).flatten()])
    )[0, 1]
    assert correlation < 0.999
    assert not torch.allclose(scores, explainer(queries, shuffled))


def test_image_compared_with_itself_has_a_map(network, queries):
    explainer = FAM(network)
    scores = explainer(queries, explainer.embed(queries))
    assert (scores.amax(dim=(1, 2, 3)) > 0).all()
    assert (scores.std(dim=(1, 2, 3)) > 0).all()


def test_batch_equals_one_by_one_in_float64(network, queries, supports):
    explainer = FAM(network)
    references = explainer.embed(supports)
    together = explainer.attribute(queries, references)
    alone = [explainer.attribute(queries[i : i + 1], references[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), **EXACT)


def test_partner_has_the_same_weights(network, queries, supports):
    explainer = FAM(network)
    scores, partner_scores = explainer.pair(queries, supports)
    assert scores.shape == (2, 1, 96, 128)
    assert partner_scores.shape == (2, 1, 128, 64)
    references = explainer.embed(supports)
    torch.testing.assert_close(scores, explainer(queries, references))
    # c is symmetric: seen from the supports, the weights are the same.
    torch.testing.assert_close(partner_scores, explainer(supports, explainer.embed(queries)))


def test_one_of_two_supports_gets_the_weights_of_their_prototype(network, queries, supports):
    explainer = FAM(network, weights="plain", normalisation="none")
    prototype = explainer.embed(supports).mean(dim=0, keepdim=True)
    _, partner_scores = explainer.pair(
        queries[:1].expand(2, -1, -1, -1), supports, prototype.expand(2, -1)
    )
    query, others = explainer.feature_maps(queries[:1]), explainer.feature_maps(supports)
    weights = explainer.contributions(query, prototype)
    expected = torch.einsum("k,bkhw->bhw", weights[0], others).clamp(min=0)[:, None]
    expected = nn.functional.interpolate(expected, (128, 64), mode="bilinear").float()
    torch.testing.assert_close(partner_scores, expected)


def test_all_channels_count_where_no_distance_tells_them_apart(maps):
    explainer = FAM(TINY, metric="euclidean")
    scores = explainer.score_maps(maps, maps.mean(dim=(2, 3)))
    torch.testing.assert_close(scores, maps.sum(dim=1, keepdim=True))


def test_linear_head_is_pulled_back(maps):
    head = nn.Linear(6, 4).double()
    explainer = FAM(TINY, head=head)
    references = torch.randn(2, 4, dtype=torch.float64)
    pooled = maps.mean(dim=(2, 3))
    projected = pooled @ head.weight.T + head.bias
    length = (projected.norm(dim=1) * references.norm(dim=1))[:, None]
    contributions = explainer.contributions(maps, references)
    torch.testing.assert_close(contributions, pooled * (references @ head.weight) / length, **EXACT)
    # The bias belongs to no channel.
    rest = (references @ head.bias) / length[:, 0]
    torch.testing.assert_close(contributions.sum(dim=1) + rest, cosine(projected, references))


def test_contributions_through_a_perceptron_without_bias_add_up(maps):
    head = nn.Sequential(nn.Linear(6, 8, False), nn.ReLU(), nn.Linear(8, 4, False)).double()
    references = torch.randn(2, 4, dtype=torch.float64)
    for metric, similarity in (("cosine", cosine), ("dot", dot)):
        explainer = FAM(TINY, metric=metric, head=head)
        expected = similarity(head(maps.mean(dim=(2, 3))), references)
        actual = explainer.contributions(maps, references).sum(dim=1)
        torch.testing.assert_close(actual, expected, **EXACT)


def test_head_is_frozen_and_stays_in_eval_mode(images):
    head = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    classifier = FrozenClassifier("test_resnet", pretrained=False)
    head[0] = nn.Linear(classifier.stages[-1].channels, 8)
    explainer = FAM(classifier, head=head).train()
    assert not head.training
    before = {name: value.clone() for name, value in head.state_dict().items()}
    explainer(images, explainer.embed(images.flip(-1)))
    for name, value in head.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(not weight.requires_grad and weight.grad is None for weight in head.parameters())


def test_flattened_prototype(network, queries):
    explainer = FAM(network, pool="flatten")
    references = explainer.embed(queries.flip(-1))
    maps = explainer.feature_maps(queries)
    contributions = explainer.contributions(maps, references)
    assert contributions.shape == maps.shape[:2]
    torch.testing.assert_close(
        contributions.sum(dim=1), explainer.similarity(queries, references), **EXACT
    )
    assert explainer(queries, references).shape == (2, 1, 96, 128)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "cosin"}, "did you mean cosine"),
        ({"pool": "avg"}, "unknown pool 'avg'"),
        ({"weights": "plane"}, "did you mean plain"),
        ({"normalisation": "l2"}, "unknown normalisation 'l2'"),
        ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
        ({"metric": "euclidean", "weights": "decomposition"}, "choose cosine or dot"),
        ({"metric": "euclidean", "normalisation": "l1"}, "choose minmax or softmax"),
        ({"metric": "euclidean", "head": nn.Identity()}, "choose cosine or dot"),
    ],
)
def test_bad_option(options, message):
    with pytest.raises(InputError, match=message):
        FAM(TINY, **options)


def test_targets_that_are_no_references_are_refused(network, queries):
    explainer = FAM(network)
    for target in (None, torch.tensor([0, 1])):
        with pytest.raises(TargetError, match="FAM explains reference embeddings, not class"):
            explainer(queries, target)
    width = network.stages[-1].channels
    with pytest.raises(InputError, match=rf"must be embeddings \(b {width}\).* got \(2, 3\)"):
        explainer(queries, torch.rand(2, 3))
    with pytest.raises(InputError, match="must be finite"):
        explainer(queries, torch.full((2, width), torch.nan))
