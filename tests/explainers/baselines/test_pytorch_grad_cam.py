"""Methods of the package grad-cam against its own answers and the papers."""

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
import timm
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.baselines import CAMBaseline
from explainers.errors import InputError

pytestmark = pytest.mark.skipif(
    find_spec("pytorch_grad_cam") is None, reason="needs grad-cam, of the extra compare"
)


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("test_resnet", lambda model: model.layer4),
        ("test_convnext", lambda model: model.stages[-1]),
        ("test_vit", lambda model: model.blocks[-1].norm1),
    ],
)
@pytest.mark.parametrize("method", ["GradCAM", "ScoreCAM"])
def test_default_is_what_grad_cam_answers_by_hand(
    architecture, layer, method, images, labels, decided
):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    source = {"model": architecture, "pretrained": False, "num_classes": 4}
    classifier = decided(source)
    options = {}
    if architecture == "test_vit":  # a class token, then patches of 16 pixels
        options["reshape_transform"] = lambda tokens: (
            tokens[:, 1:].reshape(len(tokens), 6, 8, -1).permute(0, 3, 1, 2)
        )
    targets = [ClassifierOutputTarget(int(label)) for label in labels]
    with getattr(pytorch_grad_cam, method)(classifier, [layer(classifier.model)], **options) as cam:
        expected = torch.from_numpy(cam(images.clone().requires_grad_(), targets))[:, None]
    assert expected.std() > 0
    actual = CAMBaseline(classifier, method)(images, labels)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_grad_cam_is_that_of_the_paper(images, labels, decided):
    classifier = decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})
    (features,) = classifier.features(images.requires_grad_(), [-1])
    weights = classifier.class_weights[labels]  # the gradient of a mean over places
    maps = torch.einsum("bchw,bc->bhw", features.detach(), weights)[:, None].relu()
    expected = nn.functional.interpolate(maps, (96, 128), mode="bilinear")
    explainer = CAMBaseline(classifier)
    actual = explainer.to_maps(explainer(images, labels))
    torch.testing.assert_close(actual, explainer.to_maps(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ["GradCAM", "AblationCAM"])
def test_grid_of_tokens_follows_a_wide_image(method, labels, decided):
    model = timm.create_model("test_vit", num_classes=4, dynamic_img_size=True)
    classifier = decided(FrozenClassifier(model))
    explainer = CAMBaseline(classifier, method)
    tokens = torch.zeros(1, 1 + 6 * 8, 64)
    tokens[0, 1 + 2 * 8 + 5] = 1.0  # row 2, column 5
    maps = classifier.as_maps(tokens, (96, 128))
    assert maps.shape == (1, 64, 6, 8)
    assert maps[0, 0].nonzero().tolist() == [[2, 5]]
    assert explainer(torch.rand(3, 3, 48, 160), labels).shape == (3, 1, 48, 160)


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("test_efficientnet", "bn2"),
        ("test_mambaout", "stages"),  # channels last
        ("test_nfnet", "final_act"),
        ("test_vit4", "blocks.8.norm1"),
    ],
)
def test_default_layer_is_what_is_pooled(architecture, layer, decided):
    classifier = decided({"model": architecture, "pretrained": False, "num_classes": 4})
    explainer = CAMBaseline(classifier)
    assert explainer.layer == layer
    images = torch.rand(2, 3, *classifier.size)
    with torch.no_grad():
        scores = [explainer(images, torch.tensor([label] * 2)) for label in range(4)]
    assert torch.cat(scores).isfinite().all()
    assert torch.cat(scores).std() > 0


def test_layer_can_be_chosen(images, labels, decided):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    classifier = decided(source)
    earlier = CAMBaseline(classifier, layer="layer2")
    assert not torch.allclose(earlier(images, labels), CAMBaseline(classifier)(images, labels))
    with pytest.raises(InputError, match=r"unknown layer 'layer5'; did you mean layer"):
        CAMBaseline(classifier, layer="layer5")


def test_module_of_ones_own_is_explained_at_the_last_layer_of_maps_or_at_one_that_is_named():
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 96])
    assert CAMBaseline(classifier).layer == "1"
    images = torch.rand(2, 3, 64, 96)
    scores = [CAMBaseline(classifier, layer="0")(images, torch.tensor([c, c])) for c in range(4)]
    assert torch.cat(scores).std() > 0


def test_threads_get_what_each_would_get_alone_and_leave_no_hook(decided, assert_untouched):
    classifier = decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})
    other = decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    fingerprint, errors = classifier.fingerprint(), sys.stderr
    explainers = [CAMBaseline(classifier), CAMBaseline(classifier, layer="layer3")]
    explainers += [CAMBaseline(other), CAMBaseline(other, "AblationCAM")]
    cases = [
        (one, torch.rand(1, 3, *one.classifier.size), label)
        for label in range(3)
        for one in explainers * 4
    ]

    def ask(case):
        explainer, image, label = case
        return explainer(image, torch.tensor([label]))

    expected = [ask(case) for case in cases]
    with ThreadPoolExecutor(4) as threads:
        for actual, alone in zip(threads.map(ask, cases), expected, strict=True):
            torch.testing.assert_close(actual, alone, rtol=0, atol=0)
    assert_untouched(classifier, fingerprint)
    assert sys.stderr is errors
