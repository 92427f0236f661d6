"""Methods of the package captum against slow versions of their definitions."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.baselines import CAPTUM_METHODS, CaptumBaseline
from explainers.errors import InputError

pytestmark = pytest.mark.skipif(
    find_spec("captum") is None, reason="needs captum, of the extra compare"
)


@pytest.fixture
def additive():
    """A classifier whose logits are sums over cells of 32 pixels, and the cells' weights."""
    module = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(3 * 3 * 4, 5))
    classifier = FrozenClassifier(module, mean=[0.0] * 3, std=[1.0] * 3, size=[96, 128])
    return classifier, module[2].weight.view(5, 3, 3, 4)


def test_integrated_gradients_add_up_to_the_logit_less_that_of_black(labels, decided):
    classifier = decided({"model": "test_convnext", "pretrained": False, "num_classes": 4})
    images = torch.rand(3, 3, 64, 96)
    scores = CaptumBaseline(classifier, samples=100)(images, labels)
    difference = classifier(images) - classifier(torch.zeros_like(images))
    expected = difference.gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(scores.sum(dim=(1, 2, 3)), expected, rtol=0.02, atol=0.02)


def test_gradients_are_those_of_the_logit(images, labels, decided):
    classifier = decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    assert not CaptumBaseline(classifier, "Saliency").signed
    assert CaptumBaseline(classifier, "InputXGradient").signed
    copies = images.clone().requires_grad_()
    classifier(copies).gather(1, labels[:, None]).sum().backward()
    saliency = CaptumBaseline(classifier, "Saliency")(images, labels)
    torch.testing.assert_close(saliency, copies.grad.abs().amax(dim=1, keepdim=True))
    product = CaptumBaseline(classifier, "InputXGradient")(images, labels)
    torch.testing.assert_close(product, (images * copies.grad).sum(dim=1, keepdim=True))


def test_smoothgrad_is_the_mean_over_noisy_copies(labels, decided):
    classifier = decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})
    images = torch.rand(2, 3, 64, 64)
    smooth = {"noisy_copies": 5, "noise": 0.2, "seed": 7, "chunk_size": 5}
    actual = CaptumBaseline(classifier, "Saliency", **smooth)(images, labels[:2])
    torch.manual_seed(7)
    noise = torch.normal(0, torch.full((5, 3, 64, 64), 0.2))
    for image, label, scores in zip(images, labels, actual, strict=False):
        copies = (image + noise).requires_grad_()
        classifier(copies)[:, label].sum().backward()
        expected = copies.grad.abs().mean(dim=0).amax(dim=0, keepdim=True)
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["FeatureAblation", "KernelShap"])
def test_share_of_each_cell_of_an_additive_classifier_is_found(method, additive, images, labels):
    classifier, weights = additive
    cells = nn.functional.avg_pool2d(images, 32)
    shares = (weights[labels] * cells).sum(dim=1, keepdim=True).detach()  # (3 1 3 4)
    expected = nn.functional.interpolate(shares, (96, 128), mode="nearest")
    actual = CaptumBaseline(classifier, method, samples=60)(images, labels)
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-3)


def test_occlusion_averages_the_windows_over_each_pixel(additive, labels):
    classifier, _ = additive
    images = torch.rand(2, 3, 96, 128)
    total, count = torch.zeros(2, 1, 96, 128), torch.zeros(96, 128)
    for top in (0, 32):  # windows of 64, half over each other
        for left in (0, 32, 64):
            hidden = images.clone()
            hidden[..., top : top + 64, left : left + 64] = 0
            drop = (classifier(images) - classifier(hidden)).gather(1, labels[:2, None])
            total[..., top : top + 64, left : left + 64] += drop[..., None, None]
            count[top : top + 64, left : left + 64] += 1
    actual = CaptumBaseline(classifier, "Occlusion", window=64)(images, labels[:2])
    torch.testing.assert_close(actual, total / count, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", CAPTUM_METHODS)
def test_chunk_size_changes_nothing(method, images, labels, decided):
    classifier = decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    expected = CaptumBaseline(classifier, method, samples=5)(images, labels)
    actual = CaptumBaseline(classifier, method, samples=5, chunk_size=2)(images, labels)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


def test_noisy_copies_without_gradients_are_refused():
    with pytest.raises(InputError, match="Occlusion takes none; choose one of Saliency"):
        CaptumBaseline({"model": "test_vit", "pretrained": False}, "Occlusion", noisy_copies=5)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("samples", 0, "samples must be a whole number from 1"),
        ("window", 0, "window must be a whole number from 1"),
        ("chunk_size", 2.5, "chunk_size must be a whole number from 1"),
        ("noisy_copies", -1, "noisy_copies must be a whole number from 0"),
        ("noise", -0.1, "noise must be a finite number of at least 0"),
        ("seed", -1, "seed must be a whole number from 0"),
    ],
)
def test_number_out_of_its_range_is_refused(option, value, rule):
    with pytest.raises(InputError, match=rule):
        CaptumBaseline({"model": "test_resnet", "pretrained": False}, **{option: value})


def test_seed_decides(images, labels, decided):
    classifier = decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    first, other = (
        CaptumBaseline(classifier, "KernelShap", samples=8, seed=seed)(images, labels)
        for seed in (0, 1)
    )
    assert not torch.allclose(first, other)
