import importlib
import sys
from importlib.util import find_spec
from unittest.mock import patch

import pytest
import torch

from explainers import FrozenClassifier
from explainers.baselines import CAM_METHODS, CAPTUM_METHODS, CAMBaseline, CaptumBaseline
from explainers.errors import InputError, TargetError
from explainers.export.graph import require_single_pass

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


MANY_PASSES = [
    case for case in CASES if case.values[0][1] in ("ScoreCAM", "AblationCAM", "Occlusion")
]


@pytest.fixture(params=CASES)
def explainer(request, decided):
    kind, method, architecture, options = request.param
    source = {"model": architecture, "pretrained": False, "num_classes": 4}
    return kind(decided(source), method, **options)


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


@pytest.mark.parametrize(
    ("explainer", "passes"),
    [pytest.param(*case.values, 1, marks=case.marks, id=f"{case.id}-1") for case in CASES]
    + [pytest.param(*case.values, 3, marks=case.marks, id=f"{case.id}-3") for case in MANY_PASSES],
    indirect=["explainer"],
)
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
    with pytest.raises(IndexError, match="in between"):
        explainer(images, labels)
    assert count == passes
    assert_untouched(explainer.classifier, fingerprint)
    assert dict(explainer.classifier.named_modules()) == parts
    assert torch.equal(torch.get_rng_state(), state)


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


def test_packages_are_imported_only_when_used():
    packages = {"captum", "pytorch_grad_cam"}
    with patch.dict(sys.modules):
        for name in list(sys.modules):
            if name.split(".")[0] in packages | {"explainers"}:
                del sys.modules[name]
        importlib.import_module("explainers.baselines")
        assert "explainers.base" in sys.modules
        assert not packages & sys.modules.keys()


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        pytest.param(CAMBaseline, "grad-cam", marks=needs_grad_cam),
        pytest.param(CaptumBaseline, "captum", marks=needs_captum),
    ],
)
def test_baseline_cites_its_paper_and_names_its_package_when_it_is_to_be_exported(kind, package):
    assert kind.title
    assert kind.papers
    explainer = kind({"model": "test_resnet", "pretrained": False, "num_classes": 4})
    with pytest.raises(InputError, match=f"cannot be exported: it is a method .* {package}, "):
        require_single_pass(explainer)
