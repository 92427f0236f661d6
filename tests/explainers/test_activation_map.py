import torch

from explainers import ActivationMap


def test_scores_are_the_mean_channel_whatever_the_target(images):
    explainer = ActivationMap({"model": "test_resnet", "pretrained": False})
    scores = explainer(images, torch.tensor([0, 1, 2]))
    (maps,) = explainer.classifier.features(images, [-1])
    expected = torch.nn.functional.interpolate(
        maps.mean(dim=1, keepdim=True), (96, 128), mode="bilinear"
    )
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(explainer(images, explainer.embed(images)), scores)
