"""Masks of the answer: the sigmoid that training shapes, or the published min-max of the scores."""

import pytest
import torch
import torch.nn.functional as F

from explainers import LCAM, PTAME, TAME
from explainers.errors import InputError

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.fixture(params=[PTAME, TAME, LCAM], ids=lambda kind: kind.__name__)
def build(request):
    """Make an explainer away from its start."""

    def make(**options):
        torch.manual_seed(0)
        if request.param is PTAME:
            options["auxiliary"] = SOURCE
        explainer = request.param(SOURCE, **options)
        for weight in explainer.network.head.parameters():
            torch.nn.init.normal_(weight, std=0.3)
        return explainer.eval()

    return make


def test_minmax_is_the_scores_before_the_sigmoid_from_their_minimum_to_their_maximum(
    build, images, labels
):
    explainer = build(normalisation="minmax")
    scores = explainer.network.score(explainer.network.read(images), labels)
    expected = []
    for one in F.interpolate(scores, (96, 128), mode="bilinear", align_corners=False):
        expected.append((one - one.min()) / (one.max() - one.min()))
    actual = explainer(images, labels)
    torch.testing.assert_close(actual, torch.stack(expected), rtol=0, atol=5e-6)
    assert torch.equal(actual.amin((1, 2, 3)), torch.zeros(3))
    assert torch.equal(actual.amax((1, 2, 3)), torch.ones(3))


def test_minmax_before_the_enlargement_is_the_same_map_less_stretched(build, images, labels):
    explainer = build(normalisation="minmax")
    scores = explainer.network.score(explainer.network.read(images), labels)
    low, high = scores.amin((2, 3), keepdim=True), scores.amax((2, 3), keepdim=True)
    small = (scores - low) / (high - low)
    large = F.interpolate(small, (96, 128), mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    torch.testing.assert_close(
        explainer(images, labels), (large - low) / (high - low), rtol=0, atol=5e-6
    )


def test_forward_answer_and_explain_give_one_map(build, images):
    explainer = build(normalisation="minmax")
    target, scores, _ = explainer.answer(images, None)
    torch.testing.assert_close(scores, explainer(images, target), rtol=0, atol=1e-5)
    torch.testing.assert_close(explainer.explain(images, target).maps, explainer(images, target))


def test_training_shapes_the_sigmoid_whatever_the_answer(build, images, labels):
    ours, published = build(), build(normalisation="minmax")
    published.classifier.model.load_state_dict(ours.classifier.model.state_dict())
    published.network.backbone.model.load_state_dict(ours.network.backbone.model.state_dict())
    features = ours.network.read(images)
    masks = ours.network.draw(features, labels[None])
    assert torch.equal(masks, published.network.draw(features, labels[None]))
    torch.testing.assert_close(masks, ours.network.score(features, labels[None]).sigmoid())
    assert not torch.allclose(ours(images, labels), published(images, labels), atol=0.05)


def test_the_sigmoid_is_taken_before_the_enlargement(build, images, labels):
    explainer = build()
    masks = explainer.network.draw(explainer.network.read(images), labels)
    expected = F.interpolate(masks, (96, 128), mode="bilinear", align_corners=False)
    assert torch.equal(explainer(images, labels), expected)


def test_unknown_normalisation_is_named(build):
    with pytest.raises(InputError, match="unknown normalisation 'min_max'; did you mean minmax"):
        build(normalisation="min_max")
