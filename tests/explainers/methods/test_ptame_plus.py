import pytest
import torch
import torch.nn.functional as F

from explainers import LCAM, TAME, FrozenClassifier, PTAMEPlus
from explainers.errors import InputError
from explainers.methods.cam.mask_refinement import AREA_WEIGHT, refine
from explainers.training.mosaics import known_mosaics


@pytest.fixture
def classifier():
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    return classifier


@pytest.fixture
def masks(images):
    return torch.rand(3, 2, 12, 16, generator=torch.Generator().manual_seed(3))


def _stretched(mask, images):
    big = F.interpolate(mask[None, None], images.shape[-2:], mode="bilinear")[0, 0]
    return (big - big.min()) / (big.max() - big.min())


def test_each_term_is_what_its_name_says(classifier, images, labels, masks):
    explainer = PTAMEPlus(
        classifier,
        confidence_weight=2.0,
        classification_weight=3.0,
        deletion_weight=0.7,
        area_weight=4.0,
        area_budget=0.3,
        off_target_weight=0.2,
        threshold_weight=0.0,
        mosaics=0,
    )
    terms = explainer.losses(images, labels, masks, explainer.classifier(images))
    expected = dict.fromkeys(terms, 0.0)
    for image, label, pair, previous in zip(images, labels, masks, labels.roll(1), strict=True):
        shown = _stretched(pair[0], images)
        whole, kept, left = (
            classifier(one[None])[0].softmax(0)
            for one in (image, image * shown, image * (1 - shown))
        )
        drop = max(0.0, float((whole[label] - kept[label]) / whole[label]))
        gain = max(0.0, float((kept[label] - whole[label]) / (1.02 - whole[label])))
        expected["confidence"] += 2.0 * (drop - gain) / 3
        expected["classification"] += 3.0 * -float(kept[label].log()) / 3
        expected["deletion"] += 0.7 * -float((1 - left[label]).log()) / 3
        expected["area"] += 4.0 * max(0.0, float(shown.mean()) - 0.3) / 3
        if previous != label:
            expected["off_target"] += 0.2 * float(pair[1].mean()) / 3
    for name, value in terms.items():
        assert float(value) == pytest.approx(expected[name], rel=1e-4), name


def test_mosaics_are_trained_on_for_the_class_of_one_cell(
    classifier, images, labels, masks, monkeypatch
):
    monkeypatch.setattr("explainers.training.mosaics.SURE", 0.2)  # of four random classes
    explainer = PTAMEPlus(
        classifier, confidence_weight=0.0, classification_weight=1.0, area_weight=0.0, mosaics=2
    )
    logits = classifier(images)
    terms = explainer.losses(images, labels, masks, logits)
    sure = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    known = known_mosaics(images, labels, sure, 2, seed=0)
    drawn = explainer.network.draw(explainer.network.read(known.images), known.classes)
    pairs = [
        (image, label, _stretched(mask[0], images))
        for image, label, mask in zip(images, labels, masks, strict=True)
    ]
    shares = []
    for mosaic, classes, own, regions, surely in zip(
        known.images, known.classes, drawn, known.regions, known.sure, strict=True
    ):
        maps = [_stretched(one, images) for one in own]
        pairs.append((mosaic, classes[0], maps[0]))  # of step 0
        shares += [
            (one * region).sum() / one.sum()
            for one, region, counted in zip(maps, regions, surely, strict=True)
            if counted
        ]
    lost = [
        -classifier((one * shown)[None]).log_softmax(1)[0, label] for one, label, shown in pairs
    ]
    assert len(lost) == 5
    assert shares
    torch.testing.assert_close(terms["classification"], torch.stack(lost).mean())
    torch.testing.assert_close(terms["region"], -(torch.stack(shares) + 0.02).log().mean())


def test_images_of_a_step_have_one_of_the_sizes(classifier, monkeypatch):
    explainer = PTAMEPlus(classifier, sizes=[64, 96])
    monkeypatch.setattr(explainer, "_log_training", lambda *_: None)
    shown = []
    monkeypatch.setattr(explainer, "read", lambda images: shown.append(images.shape[-2:]) or 1 / 0)
    for step in range(12):
        monkeypatch.setattr(PTAMEPlus, "global_step", step)
        with pytest.raises(ZeroDivisionError):
            explainer.training_step({"image": torch.rand(2, 3, 80, 80)}, 0)
    assert {*shown} == {(64, 64), (96, 96)}


def test_masks_are_asked_for_the_own_class_and_that_of_another_image(classifier):
    asked = PTAMEPlus(classifier).target_classes(torch.tensor([3, 1, 2]))
    assert asked.tolist() == [[3, 2], [1, 3], [2, 1]]


@pytest.mark.parametrize("options", [{}, {"evidence_width": 0}, {"decoder_width": 8}])
def test_each_head_draws_masks_and_learns(classifier, images, labels, options):
    explainer = PTAMEPlus(classifier, **options)
    masks = explainer.network.draw(explainer.network.read(images), explainer.target_classes(labels))
    assert masks.shape[:2] == (3, 2)
    losses = explainer.losses(images, labels, masks, explainer.classifier(images))
    torch.stack(list(losses.values())).sum().backward()
    moved = [one for one in explainer.parameters() if one.grad is not None and one.grad.any()]
    assert moved


def test_one_stage_is_as_coarse_as_a_class_activation_map(classifier, images, labels):
    network = PTAMEPlus(classifier, evidence_width=0, stages=[-1]).network
    masks = network.draw(network.read(images), labels)
    assert masks.shape[-2:] == classifier.features(images, [-1])[0].shape[-2:]


def test_twenty_steps_on_one_batch_lower_the_objective(classifier, images, labels, twenty_steps):
    explainer = PTAMEPlus(classifier, lr=1e-2).train()
    optimizer = explainer.build_optimizer()
    history = twenty_steps(explainer, images, labels, optimizer)
    assert history[-1] < history[0] - 0.05


@pytest.mark.parametrize("kind", [LCAM, TAME, PTAMEPlus])
def test_a_step_passes_the_whole_images_once_and_the_masked_ones_once(
    kind, classifier, images, monkeypatch
):
    options = {"mosaics": 0, "threshold_weight": 0.0} if kind is PTAMEPlus else {}
    explainer = kind(classifier, **options)
    monkeypatch.setattr(explainer, "_log_training", lambda *_: None)
    passed = []
    classifier.model.conv1.register_forward_hook(lambda *_: passed.append(1))
    explainer.training_step({"image": images}, 0)
    assert len(passed) == 2


@pytest.mark.parametrize("kind", [LCAM, TAME, PTAMEPlus])
def test_an_explanation_passes_the_images_once_and_is_that_of_forward(kind, classifier, images):
    explainer = kind(classifier)
    passed = []
    handle = classifier.model.conv1.register_forward_hook(lambda *_: passed.append(1))
    explanation = explainer.explain(images)
    handle.remove()
    assert len(passed) == 1
    logits = classifier(images)
    assert torch.equal(explanation.target, logits.argmax(dim=1))
    torch.testing.assert_close(explanation.probabilities, logits.softmax(dim=1).amax(dim=1))
    torch.testing.assert_close(explanation.scores, explainer(images))


def test_an_auxiliary_with_other_classes_is_refused(classifier):
    other = {"model": "test_resnet", "pretrained": False, "num_classes": 5}
    with pytest.raises(InputError, match="4 classes"):
        PTAMEPlus(classifier, auxiliary=other)


def test_refined_maps_have_more_log_odds_for_their_area(classifier, images, labels):
    def objective(explainer):
        with torch.no_grad():
            maps = explainer.to_maps(explainer(images, labels))
            odds = classifier.decision.log_odds(labels, classifier(images * maps))
            return odds - AREA_WEIGHT * maps.mean(dim=(1, 2, 3))

    plain = PTAMEPlus(classifier)
    refined = PTAMEPlus(classifier, refinement_steps=15)
    refined.load_state_dict(plain.state_dict())
    assert (objective(refined) > objective(plain)).all()


def test_refinement_does_not_depend_on_batch_mates_or_on_the_callers_mode(
    classifier, images, labels
):
    classifier, images = classifier.double(), images.double()
    masks = torch.rand(3, 1, *images.shape[-2:], dtype=torch.float64)
    expected = refine(classifier, images, labels, masks, steps=5, area_weight=1.0)
    for i in range(3):
        one = slice(i, i + 1)
        alone = refine(classifier, images[one], labels[one], masks[one], 5, 1.0)
        torch.testing.assert_close(alone, expected[one], rtol=0, atol=1e-10)
    with torch.inference_mode():
        again = refine(classifier, images, labels, masks, steps=5, area_weight=1.0)
    torch.testing.assert_close(again, expected)
