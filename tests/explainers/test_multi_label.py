"""Classifiers of several classes an image: probabilities, targets, metrics and training."""

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer

from datamodules import ShapesDataModule
from explainers import LCAM, FrozenClassifier, MaskingUNet, OptiCAM, PTAMEPlus
from explainers.errors import InputError
from explainers.evaluation.evaluator import Evaluator
from explainers.heads.conditioned_head import ConditionedNetwork
from explainers.images.pixel_removal import keep
from explainers.methods.cam.mask_refinement import refine
from explainers.training.class_draw import drawn_classes

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4, "activation": "sigmoid"}


@pytest.fixture
def classifier():
    classifier = FrozenClassifier.of(SOURCE | {"class_names": ["cat", "dog", "owl", "car"]})
    torch.nn.init.normal_(classifier.reader.last_layer().weight)
    torch.nn.init.zeros_(classifier.reader.last_layer().bias)
    return classifier


@pytest.fixture
def shown(classifier, images):
    """The classes of each image whose logit is not negative, or the likeliest."""
    logits = classifier(images)
    found = [(row >= 0).nonzero()[:, 0].tolist() or [int(row.argmax())] for row in logits]
    assert max(map(len, found)) > 1
    return found


def test_each_class_over_the_threshold_is_explained(classifier, images, shown):
    explainer = OptiCAM(classifier, steps=2)
    explanation = explainer.explain(images)
    pairs = [(image, label) for image, labels in enumerate(shown) for label in labels]
    assert explanation.target.tolist() == [label for _, label in pairs]
    assert explanation.names == [f"image-{image:03d}-{label}" for image, label in pairs]
    expected = torch.stack([classifier(images)[pair].sigmoid() for pair in pairs])
    torch.testing.assert_close(explanation.probabilities, expected)
    one = explainer.explain(images[:1], target=pairs[0][1])
    torch.testing.assert_close(one.map_list[0], explanation.map_list[0], rtol=1e-4, atol=1e-4)
    assert explainer.explain(images, target="owl").captions == ["owl"] * 3


def test_threshold_decides_what_is_shown(images):
    explainer = LCAM(SOURCE | {"threshold": 0.0})
    assert len(explainer.explain(images)) == 12
    assert len(LCAM(SOURCE | {"threshold": 1.0}).explain(images)) == 3


def test_data_sets_and_no_target_mean_the_likeliest_class(classifier, images):
    explainer = LCAM(classifier)
    likeliest = classifier(images).argmax(dim=1)
    target, _, probabilities = explainer.answer(images, None)
    assert torch.equal(target, likeliest)
    torch.testing.assert_close(probabilities, classifier(images).sigmoid().amax(dim=1))
    predicted = explainer.predict_step({"image": images}, 0)
    assert torch.equal(predicted["target"], likeliest)


def test_metrics_are_of_sigmoid_probabilities(classifier, images, labels):
    evaluator = Evaluator(classifier, ["mine"], ["average_drop", "average_gain"])
    scores = torch.rand(3, 1, 96, 128)
    batch = {"image": images}
    _, known = evaluator.unmasked(images, labels)
    evaluator.update("mine", lambda images, labels: scores, batch, labels, scores, known)
    index = labels[:, None]
    p = classifier(images).sigmoid().gather(1, index)
    o = classifier(keep(images, scores)).sigmoid().gather(1, index)
    found = evaluator.scoreboards["mine"].compute()
    assert found["average_drop"] == pytest.approx(100 * float(((p - o).relu() / p).mean()), 1e-4)
    expected = 100 * float(((o - p).relu() / (1 - p)).mean())
    assert found["average_gain"] == pytest.approx(expected, 1e-4)


def test_each_shown_class_is_drawn_equally_often(classifier, images, shown):
    logits = classifier(images)
    draws = torch.stack([drawn_classes(classifier.decision, logits, seed) for seed in range(600)])
    assert torch.equal(draws[7], drawn_classes(classifier.decision, logits, 7))
    for one, expected in zip(draws.T, shown, strict=True):
        counts = one.bincount(minlength=4)
        assert counts.nonzero()[:, 0].tolist() == expected
        share = 600 / len(expected)
        assert all(abs(count - share) < 75 for count in counts[expected].tolist())


def test_classes_without_rivals_have_their_own_rows(classifier, images, labels, monkeypatch):
    explainer = PTAMEPlus(classifier, evidence_width=0)
    network = explainer.network
    assert isinstance(network, ConditionedNetwork)
    given = []
    monkeypatch.setattr(network.head, "forward", lambda features, rows: given.append(rows))
    network.score(network.read(images), labels)
    weights = classifier.class_weights
    torch.testing.assert_close(given[0][:, 0], weights[labels] / weights.std())


def test_objective_is_the_binary_cross_entropy_of_the_class(classifier, images, labels):
    explainer = LCAM(classifier, classification_weight=0.7)
    masks = torch.rand(3, 3, 96, 128)
    terms = explainer.losses(images, labels, masks, classifier(images))
    own = torch.stack([masks[i, i] for i in range(3)])[:, None]
    logits = classifier(images * own).gather(1, labels[:, None])
    expected = 0.7 * F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    torch.testing.assert_close(terms["classification"], expected)


def test_mask_for_another_class_that_is_shown_too_costs_nothing(classifier, images, shown):
    explainer = PTAMEPlus(classifier, off_target_weight=1.0)
    logits = torch.tensor([[5.0, 4.0, -5.0, -5.0], [-5.0, 6.0, -5.0, -5.0]])
    masks = torch.rand(2, 2, 96, 128)
    terms = explainer.losses(images[:2], torch.tensor([0, 1]), masks, logits)
    # Of class 1 the first image shows something too; of class 0 the second does not.
    torch.testing.assert_close(terms["off_target"], masks[1, 1].mean() / 2)


def test_refinement_raises_the_logit_alone(classifier, images, labels):
    start = torch.rand(3, 1, 96, 128)
    refined = refine(classifier, images, labels, start, 5, 0.0)

    def odds(masks):
        low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
        kept = classifier(images * (masks - low) / (high - low))
        return kept.gather(1, labels[:, None])[:, 0]

    assert (odds(refined) > odds(start)).all()


@pytest.mark.filterwarnings("default")  # Lightning warns about its own dependencies
@pytest.mark.parametrize("kind", [LCAM, PTAMEPlus, MaskingUNet])
def test_heads_are_trained(classifier, kind):
    explainer = kind(classifier)
    before = [weight.clone() for weight in explainer.parameters() if weight.requires_grad]
    data = ShapesDataModule(length=4, samples_per_epoch=16, size=64, batch_size=4)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=1, use_distributed_sampler=False, accelerator="cpu", **options)
    trainer.fit(explainer, datamodule=data)
    after = [weight for weight in explainer.parameters() if weight.requires_grad]
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert all(weight.isfinite().all() for weight in after)


def test_auxiliary_that_reads_logits_otherwise_is_refused(classifier):
    other = FrozenClassifier.of(SOURCE | {"activation": "softmax"})
    with pytest.raises(InputError, match="activation softmax and sigmoid"):
        PTAMEPlus(classifier, auxiliary=other)
