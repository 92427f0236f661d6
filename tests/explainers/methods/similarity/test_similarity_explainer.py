import pytest
import torch

from explainers import FAM, FrozenClassifier, SimilarityGradCAM
from explainers.methods.similarity.similarities import cosine, dot, euclidean


@pytest.fixture
def network(source):
    return FrozenClassifier.of(source).double()


def test_known_similarities():
    first, second = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]])
    assert dot(first, second).item() == 3
    assert cosine(first, second).item() == pytest.approx(3 / 5)
    assert euclidean(first, second).item() == -(2**2 + 4**2)
    assert cosine(torch.zeros(1, 2), second).item() == 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_grad_cam_of_an_image_compared_with_itself_is_zero_and_fam_is_not(network, metric):
    images = torch.rand(2, 3, 96, 128, dtype=torch.float64)
    explainer = SimilarityGradCAM(network, metric=metric)
    references = explainer.embed(images)
    maps = explainer.feature_maps(images)
    ours = FAM(network, metric=metric).score_maps(maps, references)
    assert ours.max() > 0
    assert explainer.score_maps(maps, references).abs().max() < 1e-12 * ours.max()
    other = explainer.score_maps(maps, references + 0.1 * torch.rand_like(references))
    assert other.max() > 1e-6 * ours.max()


def test_grad_cam_is_the_formula_written_out():
    explainer = SimilarityGradCAM({"model": "test_resnet", "pretrained": False})
    maps = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    references = torch.randn(2, 6, dtype=torch.float64)
    pooled = maps.mean(dim=(2, 3))
    length, other = pooled.norm(dim=1, keepdim=True), references.norm(dim=1, keepdim=True)
    similarity = (pooled * references).sum(dim=1, keepdim=True) / (length * other)
    gradient = references / (length * other) - similarity * pooled / length**2
    # The mean over 12 positions of what each adds to the pooled feature: a twelfth.
    expected = torch.einsum("bk,bkhw->bhw", gradient / 12, maps).clamp(min=0)[:, None]
    torch.testing.assert_close(explainer.score_maps(maps, references), expected)


def test_grad_cam_of_the_partner_swaps_the_roles(network):
    images, partners = torch.rand(2, 2, 3, 96, 128, dtype=torch.float64)
    explainer = SimilarityGradCAM(network)
    scores, partner_scores = explainer.pair(images, partners)
    torch.testing.assert_close(scores, explainer(images, explainer.embed(partners)))
    torch.testing.assert_close(partner_scores, explainer(partners, explainer.embed(images)))


def test_embedding_is_the_classifiers_own_where_that_pools_by_the_mean(images):
    explainer = FAM({"model": "test_resnet", "pretrained": False})
    torch.testing.assert_close(explainer.embed(images), explainer.classifier.embed(images))


def test_nothing_is_left_after_pairs_and_similarities(source, images, assert_untouched):
    explainer = FAM(source)
    before = explainer.classifier.fingerprint()
    with torch.inference_mode():
        explainer.pair(images, images.flip(-1))
        explainer.similarity(images, explainer.embed(images))
    assert_untouched(explainer.classifier, before)
