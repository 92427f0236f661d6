"""FAM with other metrics, heads and pools, and what it refuses."""

import pytest
import torch
from torch import nn

from explainers import FAM, FrozenClassifier
from explainers.errors import InputError, TargetError
from explainers.methods.similarity.similarities import cosine, dot

EXACT = {"rtol": 0, "atol": 1e-12}
TINY = {"model": "test_resnet", "pretrained": False}


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
    with pytest.raises(InputError, match=rf"must be finite and \(2 {width}\).* got \(2, 3\)"):
        explainer(queries, torch.rand(2, 3))
    with pytest.raises(InputError, match="some are NaN or infinite"):
        explainer(queries, torch.full((2, width), torch.nan))
