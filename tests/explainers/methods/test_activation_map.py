import pytest
import torch

from explainers import ActivationMap, AttentionMap


def test_scores_are_the_mean_channel_whatever_the_target(images):
    explainer = ActivationMap({"model": "test_resnet", "pretrained": False})
    scores = explainer(images, torch.tensor([0, 1, 2]))
    (maps,) = explainer.classifier.features(images, [-1])
    expected = torch.nn.functional.interpolate(
        maps.mean(dim=1, keepdim=True), (96, 128), mode="bilinear"
    )
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(explainer(images, explainer.embed(images)), scores)


@pytest.mark.parametrize("kind", [ActivationMap, AttentionMap])
def test_network_without_classes_is_explained_by_what_reads_no_target(kind, images):
    explainer = kind({"model": "test_vit", "pretrained": False, "num_classes": 0})
    explanation = explainer.explain(images)
    torch.testing.assert_close(explanation.target, explainer.embed(images))
    assert torch.equal(explanation.scores, explainer(images, torch.rand(len(images), 64)))
