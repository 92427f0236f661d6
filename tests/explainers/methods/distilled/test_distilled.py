import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback

from explainers import Distilled, FrozenClassifier
from explainers.baselines import RISE
from explainers.callbacks.feature_cache import FeatureCache
from explainers.training.teacher_maps import TeacherMaps

RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
OPTICAM = {"class_path": "explainers.OptiCAM", "init_args": {"steps": 2}}
RISE_4 = {"class_path": "explainers.baselines.RISE", "init_args": {"masks": 4}}

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's, about few workers


@pytest.fixture
def passes(monkeypatch):
    """How many images each frozen network has passed, by its name."""
    passed = {}

    def counted(network, name):
        passed[name] = 0

        def count(module, arguments, output):
            passed[name] += len(output)

        network.model.conv1.register_forward_hook(count)

    passed["count"] = counted
    return passed


@pytest.mark.parametrize("normalisation", ["minmax", "rms", "answered"])
def test_distance_is_the_squared_difference_from_the_teachers_maps(
    normalisation, classifier, images, labels
):
    student = Distilled(
        classifier, RISE_4, teacher_size=32, teacher_normalisation=normalisation, stages=[1, -1]
    )
    scores = RISE(classifier, masks=4)(images, labels)
    target = F.avg_pool2d(scores, 4)
    if normalisation == "minmax":
        low, high = target.amin((2, 3), keepdim=True), target.amax((2, 3), keepdim=True)
        target = (target - low) / (high - low)
    elif normalisation == "rms":
        target = target / target.square().mean((2, 3), keepdim=True).sqrt()
    features = student.network.read(images)
    drawn = student.network.score(features, labels)
    if normalisation == "minmax":
        drawn = drawn.sigmoid()
    if drawn.shape[-1] > 32:
        drawn = F.avg_pool2d(drawn, drawn.shape[-1] // 32)
    drawn = F.interpolate(drawn, (24, 32), mode="bilinear")
    expected = (drawn - target).square().mean()
    asked = student.target_classes(labels)
    masks = student.network.draw(features, asked)
    terms = student.losses(images, labels, masks, classifier(images))
    assert terms.keys() == {"distance"}
    torch.testing.assert_close(terms["distance"], expected, rtol=1e-3, atol=1e-5)
    assert student.signed == (normalisation != "minmax")


@pytest.mark.parametrize("normalisation", ["minmax", "answered"])
def test_twenty_steps_on_one_batch_lower_the_objective(
    normalisation, classifier, images, labels, twenty_steps
):
    student = Distilled(
        classifier, RISE_4, teacher_normalisation=normalisation, stages=[1, -1], decoder_width=8
    ).train()
    student.network.head.dropout.eval()
    optimizer = torch.optim.AdamW(student.network.head.parameters(), lr=1e-2)
    history = twenty_steps(student, images, labels, optimizer)
    assert min(history[-5:]) < 0.7 * history[0]


def test_scores_of_a_signed_student_are_those_of_its_head_and_maps_are_stretched(
    classifier, images, labels
):
    student = Distilled(classifier, teacher_normalisation="answered")
    scores = student(images, labels)
    drawn = student.network.score(student.network.read(images), labels)
    torch.testing.assert_close(scores, F.interpolate(drawn, (96, 128), mode="bilinear"))
    assert scores.min() < 0
    explanation = student.explain(images, labels)
    assert explanation.signed
    assert torch.equal(explanation.maps.amax((1, 2, 3)), torch.ones(3))
    assert torch.equal(explanation.maps.amin((1, 2, 3)), torch.zeros(3))


def test_images_that_are_known_pass_the_classifier_for_features_alone(
    classifier, fit, passes, tmp_path
):
    passes["count"](classifier, "classifier")
    fit(Distilled(classifier, RISE_4), epochs=1)
    assert passes["classifier"] == 6 + 6 * 4
    passes["classifier"] = 0
    trainer = fit(Distilled(classifier, RISE_4), epochs=3)
    assert passes["classifier"] == 3 * 6
    assert trainer.callback_metrics["train/teacher_maps_found"] == 1
    cache = str(tmp_path / "cache")
    fit(Distilled(classifier, RISE_4), FeatureCache(cache), epochs=1)
    passes["classifier"] = 0
    fit(Distilled(classifier, RISE_4), FeatureCache(cache))
    assert passes["classifier"] == 0


def test_images_that_are_known_pass_the_auxiliary_alone(classifier, fit, passes):
    auxiliary = FrozenClassifier.of(RESNET)
    passes["count"](classifier, "classifier")
    passes["count"](auxiliary, "auxiliary")
    options = {"auxiliary": auxiliary, "classes_per_image": 2}
    fit(Distilled(classifier, RISE_4, **options), epochs=1)
    assert passes["classifier"] == 6 + 6 * 2 * 4
    assert passes["auxiliary"] == 6
    passes["classifier"] = 0
    fit(Distilled(classifier, RISE_4, **options))
    assert passes["classifier"] == 0
    assert passes["auxiliary"] == 6 + 3 * 6


def test_a_student_is_trained_for_the_likeliest_classes_and_mosaics_of_the_step(
    classifier, fit, fitted_images, monkeypatch
):
    asked = []
    maps = TeacherMaps.maps

    def noted(self, images, classes):
        asked.append((images, classes))
        return maps(self, images, classes)

    monkeypatch.setattr(TeacherMaps, "maps", noted)
    fit(Distilled(classifier, RISE_4, classes_per_image=2, compositions=2), epochs=2)
    likeliest = classifier(fitted_images).topk(2).indices
    batches = [likeliest[:3], likeliest[3:]] * 2
    for (images, classes), known in zip(asked, batches, strict=True):
        assert images.shape == (5, 3, 64, 64)
        assert torch.equal(classes[:3], known)
        assert set(classes[3:].flatten().tolist()) <= set(known[:, 0].tolist())
    assert not torch.equal(asked[0][0][3:], asked[2][0][3:])


class Stop(Callback):
    """Ends a fit after some steps, as if it were killed, with a checkpoint."""

    def __init__(self, steps, path):
        self.steps, self.path = steps, path

    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == self.steps:
            trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt


def test_a_fit_that_is_resumed_ends_as_one_that_was_not_stopped(classifier, fit, tmp_path, passes):
    options = {"stages": [1, -1], "decoder_width": 8, "compositions": 1}

    def student():
        torch.manual_seed(0)
        return Distilled(classifier, RISE_4, **options)

    whole, stopped, resumed = student(), student(), student()
    fit(whole, folder=tmp_path / "whole")
    path = tmp_path / "stopped.ckpt"
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(stopped, Stop(2, path), folder=tmp_path / "cut")
    passes["count"](classifier, "classifier")
    torch.rand(5)  # another state of the generator
    fit(resumed, folder=tmp_path / "cut", ckpt_path=path)
    for name, weight in whole.trained_state().items():
        torch.testing.assert_close(resumed.trained_state()[name], weight, rtol=0, atol=0)
    # Two more epochs, in each step of which the mosaic alone is new.
    assert passes["classifier"] == 2 * (6 + 2 + 2 * 4)


def test_a_feature_cache_changes_nothing(classifier, fit, tmp_path):
    torch.manual_seed(0)
    plain = Distilled(classifier, OPTICAM, compositions=1)
    cached = Distilled(classifier, OPTICAM, compositions=1)
    cached.load_state_dict(plain.state_dict())
    fit(plain)
    fit(cached, FeatureCache(str(tmp_path / "cache")))
    assert len(list((tmp_path / "cache").glob("*/*"))) == 6  # the images, and no mosaic
    for name, weight in plain.trained_state().items():
        torch.testing.assert_close(cached.trained_state()[name], weight, rtol=1e-4, atol=1e-6)


def test_the_objective_of_two_processes_is_that_of_one_with_both_batches(in_two_processes):
    student = Distilled(RESNET, RISE_4, classes_per_image=2).double().train()
    images = torch.rand(6, 3, 64, 64, dtype=torch.float64)

    def step(images, compositions):
        student.compositions = compositions
        student._log_training = lambda *_: None
        student.teacher_answers = student.ask_teacher()
        return student.training_step({"image": images}, 0).detach()

    expected = step(images, 2)
    answers = in_two_processes(lambda rank: {"loss": step(images[3 * rank : 3 * rank + 3], 1)})
    torch.testing.assert_close((answers[0]["loss"] + answers[1]["loss"]) / 2, expected)
