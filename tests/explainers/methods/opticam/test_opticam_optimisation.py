"""Opti-CAM's optimisation: its steps, its passes, its options, and what it gains on photographs."""

from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import torch
from torch.utils.data import Subset

from explainers import FrozenClassifier, OptiCAM
from explainers.errors import InputError
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.methods.cam.target_scores import TARGET_SCORES

LABELS = torch.tensor([0, 2, 3])


@contextmanager
def passes(classifier):
    """Numbers of images in the passes of the classifier, a list that grows."""
    shown = []
    first = next(part for part in classifier.modules() if part._parameters and not part._modules)
    handle = first.register_forward_pre_hook(lambda module, inputs: shown.append(len(inputs[0])))
    yield shown
    handle.remove()


@pytest.mark.parametrize("selector", TARGET_SCORES)
def test_class_of_no_probability(source, images, selector):
    classifier = FrozenClassifier.of(source)
    classifier.model.get_classifier().bias[1] = -1e4
    labels = torch.ones(3, dtype=torch.long)
    assert not classifier(images.float()).softmax(dim=1)[:, 1].any()
    maps = OptiCAM(classifier, selector=selector, steps=3)(images.float(), labels)
    assert maps.isfinite().all()
    assert (maps.amax(dim=(1, 2, 3)) == 1).all()


def test_images_in_half_precision_are_optimised_in_float32(source, images):
    explainer = OptiCAM(FrozenClassifier.of(source), steps=3)
    half = images.half()
    assert torch.equal(explainer(half, LABELS), explainer(half.float(), LABELS))


@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps_of_one_image(classifier, images, steps):
    found = OptiCAM(classifier, steps=steps).optimise(images[:1], LABELS[:1])
    assert found.maps.shape == (1, 1, 64, 96)
    # Adam's first step is the learning rate, wherever there is a gradient.
    assert found.weights.abs().max() == pytest.approx(0.1 * steps, rel=0.05)
    assert found.curve.shape == (1, steps)


def test_objective_rises(classifier, images):
    curve = OptiCAM(classifier, steps=12).optimise(images, LABELS).curve
    assert (curve[:, -1] > curve[:, 0]).all()


def test_keep_best_answers_with_the_best_step(classifier, images):
    explainer = OptiCAM(classifier, steps=8, lr=3.0, keep_best=True)
    found = explainer.optimise(images, LABELS)
    last = OptiCAM(classifier, steps=8, lr=3.0).optimise(images, LABELS)
    rows = explainer._rows(images, LABELS)
    best = found.curve.amax(dim=1).maximum(explainer._objective(last.weights, rows))
    torch.testing.assert_close(explainer._objective(found.weights, rows), best)
    assert not torch.equal(found.weights, last.weights)


def test_patience_stops_each_image_for_itself_and_shrinks_the_batch(classifier, images):
    free = OptiCAM(classifier, steps=12).optimise(images, LABELS).curve
    tolerance = float((free[:, 6] - free[:, 4]).median())
    explainer = OptiCAM(classifier, steps=12, patience=2, tolerance=tolerance)
    with passes(classifier) as shown:
        curve = explainer.optimise(images, LABELS).curve
    taken = (~curve.isnan()).sum(dim=1)
    assert taken.min() < taken.max()
    assert sum(shown) == len(images) + taken.sum()
    for row, whole, count in zip(curve, free, taken.tolist(), strict=True):
        torch.testing.assert_close(row[:count], whole[:count])
        bar, stale = -float("inf"), 0
        for step, value in enumerate(row[:count].tolist(), 1):
            bar, stale = (value, 0) if value > bar + tolerance else (bar, stale + 1)
            assert (stale < 2) == (step < count) or step == 12


def test_takes_one_pass_a_step_and_one_for_the_features(classifier, images):
    with passes(classifier) as shown:
        OptiCAM(classifier, steps=7, chunk_size=2)(images, LABELS)
    assert sum(shown) == 8 * 3
    assert max(shown) == 2


def test_area_weight_shrinks_the_mask(classifier, images):
    areas = [
        OptiCAM(classifier, steps=10, area_weight=weight)(images, LABELS).mean()
        for weight in (0.0, 1e3)
    ]
    assert areas[1] < areas[0]


def test_mask_within_the_budget_costs_nothing(classifier, images):
    plain, budgeted = (
        OptiCAM(classifier, steps=5, **options)(images, LABELS)
        for options in ({}, {"area_weight": 1e3, "area_budget": 1.0})
    )
    assert torch.equal(plain, budgeted)


def test_reference_of_another_width_is_refused(classifier, images):
    with pytest.raises(InputError, match=r"references must be finite and \(3 \d+\).*\(3, 3\)"):
        OptiCAM(classifier)(images, torch.randn(3, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "papers"}, "unknown preset 'papers'; did you mean paper"),
        ({"selector": "logits"}, "unknown selector 'logits'; did you mean logit"),
        ({"objective": "masks"}, "unknown objective 'masks'; did you mean mask"),
        ({"normalisation": "min"}, "unknown normalisation 'min'"),
        ({"normalisation": "max", "positive_part": False}, "keeps negative features negative"),
        ({"steps": 0}, "steps must be a whole number from 1 to 100000, got 0"),
        ({"patience": 0}, "patience must be a whole number from 1 to 100000, got 0"),
        ({"chunk_size": 0}, "chunk_size must be a whole number from 1 to 100000, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        OptiCAM({"model": "test_resnet", "pretrained": False}, **options)


def test_presets():
    classifier = FrozenClassifier("test_resnet", pretrained=False)
    assert OptiCAM(classifier).adam.steps == 50
    assert OptiCAM(classifier, preset="paper").adam.steps == 100
    assert OptiCAM(classifier, preset="paper", steps=7).adam.steps == 7


@pytest.mark.slow
@pytest.mark.skipif(find_spec("foolbox") is None, reason="needs the packages of the extra demo")
def test_masks_of_real_photographs_raise_the_probability():
    from datamodules import PhotosDataModule

    data = PhotosDataModule(size=112, crop_fraction=1.0, batch_size=5, num_workers=0)
    data.setup("test")
    data.test_set = Subset(data.test_set, range(0, 20, 4))
    # After one step the figures are 32, 40 and 13.
    explainer = OptiCAM("package:efficientnet_lite0", preset="paper", steps=30)
    scores = Scoreboard(["average_drop", "average_increase", "average_gain"])
    for batch in data.test_dataloader():
        images = batch["image"]
        labels = explainer.resolve_target(images, None)
        maps = explainer(images, labels)
        scores.update(ExplainedBatch(images, labels, maps, maps, explainer.classifier, explainer))
    figures = scores.compute()
    assert figures["average_drop"] < 1
    assert figures["average_increase"] > 90
    assert figures["average_gain"] > 65
