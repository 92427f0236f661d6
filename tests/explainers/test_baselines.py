import subprocess
import sys
from importlib.util import find_spec

import pytest
import timm
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.baselines import CAM_METHODS, CAPTUM_METHODS, CAMBaseline, CaptumBaseline
from explainers.errors import InputError, TargetError

needs_grad_cam = pytest.mark.skipif(
    find_spec("pytorch_grad_cam") is None, reason="needs grad-cam, of the extra compare"
)
needs_captum = pytest.mark.skipif(
    find_spec("captum") is None, reason="needs captum, of the extra compare"
)
ARCHITECTURES = ["test_resnet", "test_vit", "test_convnext", "test_mambaout"]  # channels last
BLIND_TO_THE_CLASS = ["EigenCAM", "KPCA_CAM", "FEM"]


def _case(kind, method, architecture, mark, **options):
    name = "-".join([method, architecture, *options])
    return pytest.param((kind, method, architecture, options), marks=mark, id=name)


# Each method on one architecture, and on all three those that treat them differently.
CASES = [
    _case(CAMBaseline, method, architecture, needs_grad_cam)
    for index, method in enumerate(CAM_METHODS)
    for architecture in ARCHITECTURES
    if ARCHITECTURES[index % 4] == architecture or method in ("GradCAM", "AblationCAM")
] + [
    _case(CaptumBaseline, method, ARCHITECTURES[index % 4], needs_captum, samples=4, **options)
    for index, (method, use) in enumerate(CAPTUM_METHODS.items())
    for options in ({}, {"noisy_copies": 3})
    if use.gradient or not options
]


def _decided(source):
    """Scale the last layer up, so that random weights tell classes apart in float32."""
    classifier = FrozenClassifier.of(source)
    nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    return classifier


@pytest.fixture(params=CASES)
def explainer(request):
    kind, method, architecture, options = request.param
    source = {"model": architecture, "pretrained": False, "num_classes": 4}
    return kind(_decided(source), method, **options)


@pytest.fixture
def additive():
    """A classifier whose logits are sums over cells of 32 pixels, and the cells' weights."""
    module = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(3 * 3 * 4, 5))
    classifier = FrozenClassifier(module, mean=[0.0] * 3, std=[1.0] * 3, size=[96, 128])
    return classifier, module[2].weight.view(5, 3, 3, 4)


def test_every_method_keeps_the_contract(explainer, images, labels, assert_untouched):
    parts = dict(explainer.classifier.named_modules())
    fingerprint = explainer.classifier.fingerprint()
    given = images.clone()
    state = torch.get_rng_state()
    explainer.train()
    scores = explainer(images, labels)
    assert explainer.training
    assert scores.shape == (3, 1, 96, 128)
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    assert scores.isfinite().all()
    assert (scores.flatten(1).std(dim=1) > 0).any()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, given)
    assert not images.requires_grad
    assert_untouched(explainer.classifier, fingerprint)
    assert dict(explainer.classifier.named_modules()) == parts
    with torch.inference_mode():
        again = explainer(images.clone(), labels.clone())
    torch.testing.assert_close(again.clone(), scores, rtol=0, atol=0)
    with torch.no_grad():
        alone = explainer(images[1:2], labels[1:2])
    torch.testing.assert_close(alone, scores[1:2], rtol=1e-4, atol=1e-5)
    different = not torch.allclose(explainer(images, (labels + 1) % 4), scores)
    assert different == (explainer.hparams["method"] not in BLIND_TO_THE_CLASS)


@pytest.mark.parametrize("passes", [1, 3])
def test_nothing_is_left_after_an_exception(
    explainer, images, labels, monkeypatch, passes, assert_untouched
):
    parts = dict(explainer.classifier.named_modules())
    fingerprint = explainer.classifier.fingerprint()
    count = 0

    def fail(images):
        nonlocal count
        count += 1
        logits = FrozenClassifier.forward(explainer.classifier, images)
        if count >= passes:
            raise IndexError("in between")  # which grad-cam's own context swallows
        return logits

    monkeypatch.setattr(explainer.classifier, "forward", fail)
    state = torch.get_rng_state()
    if passes == 1 or explainer.hparams["method"] in ("ScoreCAM", "AblationCAM", "Occlusion"):
        with pytest.raises(IndexError, match="in between"):
            explainer(images, labels)
        assert count == passes
    assert_untouched(explainer.classifier, fingerprint)
    assert dict(explainer.classifier.named_modules()) == parts
    assert torch.equal(torch.get_rng_state(), state)


@needs_grad_cam
@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("test_resnet", lambda model: model.layer4),
        ("test_convnext", lambda model: model.stages[-1]),
        ("test_vit", lambda model: model.blocks[-1].norm1),
    ],
)
@pytest.mark.parametrize("method", ["GradCAM", "ScoreCAM"])
def test_default_is_what_grad_cam_answers_by_hand(architecture, layer, method, images, labels):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    source = {"model": architecture, "pretrained": False, "num_classes": 4}
    classifier = _decided(source)
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


@needs_grad_cam
def test_grad_cam_is_that_of_the_paper(images, labels):
    classifier = _decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})
    (features,) = classifier.features(images.requires_grad_(), [-1])
    weights = classifier.class_weights[labels]  # the gradient of a mean over places
    maps = torch.einsum("bchw,bc->bhw", features.detach(), weights)[:, None].relu()
    expected = nn.functional.interpolate(maps, (96, 128), mode="bilinear")
    explainer = CAMBaseline(classifier)
    actual = explainer.to_maps(explainer(images, labels))
    torch.testing.assert_close(actual, explainer.to_maps(expected), rtol=0, atol=1e-4)


@needs_grad_cam
@pytest.mark.parametrize("method", ["GradCAM", "AblationCAM"])
def test_grid_of_tokens_follows_a_wide_image(method, labels):
    model = timm.create_model("test_vit", num_classes=4, dynamic_img_size=True)
    classifier = _decided(FrozenClassifier(model))
    explainer = CAMBaseline(classifier, method)
    tokens = torch.zeros(1, 1 + 6 * 8, 64)
    tokens[0, 1 + 2 * 8 + 5] = 1.0  # row 2, column 5
    maps = classifier.as_maps(tokens, (96, 128))
    assert maps.shape == (1, 64, 6, 8)
    assert maps[0, 0].nonzero().tolist() == [[2, 5]]
    assert explainer(torch.rand(3, 3, 48, 160), labels).shape == (3, 1, 48, 160)


@needs_grad_cam
@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("test_efficientnet", "bn2"),
        ("test_mambaout", "stages"),  # channels last
        ("test_nfnet", "final_act"),
        ("test_vit4", "blocks.8.norm1"),
    ],
)
def test_default_layer_is_what_is_pooled(architecture, layer):
    classifier = _decided({"model": architecture, "pretrained": False, "num_classes": 4})
    explainer = CAMBaseline(classifier)
    assert explainer.layer == layer
    images = torch.rand(2, 3, *classifier.size)
    with torch.no_grad():
        scores = [explainer(images, torch.tensor([label] * 2)) for label in range(4)]
    assert torch.cat(scores).isfinite().all()
    assert torch.cat(scores).std() > 0


@needs_grad_cam
def test_layer_can_be_chosen(images, labels):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    classifier = _decided(source)
    earlier = CAMBaseline(classifier, layer="layer2")
    assert not torch.allclose(earlier(images, labels), CAMBaseline(classifier)(images, labels))
    with pytest.raises(InputError, match=r"unknown layer 'layer5'; did you mean layer"):
        CAMBaseline(classifier, layer="layer5")


@needs_grad_cam
def test_module_of_ones_own_needs_a_layer():
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 96])
    with pytest.raises(InputError, match="no default layer is known for module:Sequential; pass"):
        CAMBaseline(classifier)
    images = torch.rand(2, 3, 64, 96)
    scores = [CAMBaseline(classifier, layer="0")(images, torch.tensor([c, c])) for c in range(4)]
    assert torch.cat(scores).std() > 0


@needs_captum
def test_integrated_gradients_add_up_to_the_logit_less_that_of_black(labels):
    classifier = _decided({"model": "test_convnext", "pretrained": False, "num_classes": 4})
    images = torch.rand(3, 3, 64, 96)
    scores = CaptumBaseline(classifier, samples=100)(images, labels)
    difference = classifier(images) - classifier(torch.zeros_like(images))
    expected = difference.gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(scores.sum(dim=(1, 2, 3)), expected, rtol=0.02, atol=0.02)


@needs_captum
def test_gradients_are_those_of_the_logit(images, labels):
    classifier = _decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    assert not CaptumBaseline(classifier, "Saliency").signed
    assert CaptumBaseline(classifier, "InputXGradient").signed
    copies = images.clone().requires_grad_()
    classifier(copies).gather(1, labels[:, None]).sum().backward()
    saliency = CaptumBaseline(classifier, "Saliency")(images, labels)
    torch.testing.assert_close(saliency, copies.grad.abs().amax(dim=1, keepdim=True))
    product = CaptumBaseline(classifier, "InputXGradient")(images, labels)
    torch.testing.assert_close(product, (images * copies.grad).sum(dim=1, keepdim=True))


@needs_captum
def test_smoothgrad_is_the_mean_over_noisy_copies(labels):
    classifier = _decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})
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


@needs_captum
@pytest.mark.parametrize("method", ["FeatureAblation", "KernelShap"])
def test_share_of_each_cell_of_an_additive_classifier_is_found(method, additive, images, labels):
    classifier, weights = additive
    cells = nn.functional.avg_pool2d(images, 32)
    shares = (weights[labels] * cells).sum(dim=1, keepdim=True).detach()  # (3 1 3 4)
    expected = nn.functional.interpolate(shares, (96, 128), mode="nearest")
    actual = CaptumBaseline(classifier, method, samples=60)(images, labels)
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-3)


@needs_captum
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


@needs_captum
@pytest.mark.parametrize("method", CAPTUM_METHODS)
def test_chunk_size_changes_nothing(method, images, labels):
    classifier = _decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    expected = CaptumBaseline(classifier, method, samples=5)(images, labels)
    actual = CaptumBaseline(classifier, method, samples=5, chunk_size=2)(images, labels)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


@needs_captum
def test_noisy_copies_without_gradients_are_refused():
    with pytest.raises(InputError, match="Occlusion takes none; choose one of Saliency"):
        CaptumBaseline({"model": "test_vit", "pretrained": False}, "Occlusion", noisy_copies=5)


@needs_captum
def test_seed_decides(images, labels):
    classifier = _decided({"model": "test_vit", "pretrained": False, "num_classes": 4})
    first, other = (
        CaptumBaseline(classifier, "KernelShap", samples=8, seed=seed)(images, labels)
        for seed in (0, 1)
    )
    assert not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [(CAMBaseline, "GradCam", "GradCAM"), (CaptumBaseline, "IntegratedGradient", "Integrated")],
)
def test_unknown_method_is_refused_with_the_nearest(kind, name, near):
    with pytest.raises(InputError, match=f"unknown method '{name}'; did you mean {near}"):
        kind({"model": "test_resnet", "pretrained": False}, name)


@pytest.mark.parametrize(
    ("kind", "package"), [(CAMBaseline, "pytorch_grad_cam"), (CaptumBaseline, "captum.attr")]
)
def test_missing_package_is_named_with_the_way_to_get_it(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r'pip install "learned-explainers\[compare\]"'):
        kind({"model": "test_resnet", "pretrained": False})


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(CAMBaseline, marks=needs_grad_cam),
        pytest.param(CaptumBaseline, marks=needs_captum),
    ],
)
def test_hyperparameters_are_plain_and_references_are_refused(kind, images):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    explainer = kind(source)
    settings = dict(explainer.hparams)
    assert settings.pop("classifier") == source
    assert all(isinstance(value, str | int | float | None) for value in settings.values())
    with pytest.raises(TargetError, match="class labels"):
        explainer(images, torch.randn(3, 96))


@pytest.mark.slow
def test_packages_are_imported_only_when_used():
    code = (
        "import sys, explainers.baselines; print({'captum', 'pytorch_grad_cam'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "set()"
