"""A network of one logit is a classifier of two classes, no and yes."""

import pytest
import torch

from explainers import (
    CDAM,
    LCAM,
    PTAME,
    TAME,
    ActivationMap,
    FrozenClassifier,
    OptiCAM,
    PTAMEPlus,
    RCut,
    TokenAblation,
)

EVERY = {ActivationMap: {}, LCAM: {}, TAME: {}, PTAMEPlus: {}, OptiCAM: {"steps": 2}}
TOKENS = {CDAM: {}, TokenAblation: {}, RCut: {}}


@pytest.fixture(params=["test_resnet", "test_vit"])
def classifier(request):
    torch.manual_seed(0)
    source = {"model": request.param, "pretrained": False, "num_classes": 1, "size": [64, 64]}
    return FrozenClassifier.of(source | {"class_names": ["no", "yes"]})


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64)


def test_softmax_is_the_sigmoid_of_the_logit(classifier, images):
    logits = classifier(images)
    (single,) = classifier.model(classifier.prepare(images)).T
    assert classifier.num_classes == 2
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], single.sigmoid())
    torch.testing.assert_close(classifier.logits_and_features(images, [-1])[0], logits)
    linear = classifier.embed(images) @ classifier.class_weights.T + classifier.class_bias
    torch.testing.assert_close(linear, logits)
    found = ActivationMap(classifier).explain(images, "yes")
    torch.testing.assert_close(found.probabilities, single.sigmoid())


def test_every_method_explains_both_sides(classifier, images):
    methods = EVERY | (TOKENS if classifier.name == "test_vit" else {})
    for kind, options in methods.items():
        explainer = kind(classifier, **options).eval()
        for side in ("no", "yes"):
            maps = explainer.explain(images, side).maps
            assert maps.shape == (2, 1, 64, 64), kind
            assert maps.isfinite().all(), kind
    assert PTAME(classifier, classifier)(images).shape == (2, 1, 64, 64)


def test_evidence_for_no_is_evidence_against_yes():
    torch.manual_seed(0)
    explainer = CDAM({"model": "test_vit", "pretrained": False, "num_classes": 1})
    images = torch.rand(1, 3, 160, 160)
    no, yes = (explainer(images, torch.tensor([label])) for label in (0, 1))
    assert yes.abs().max() > 0
    torch.testing.assert_close(no, -yes)
