"""FAM of images and of the references that they are compared with."""

import torch
from torch import nn

from explainers import FAM

EXACT = {"rtol": 0, "atol": 1e-12}


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
