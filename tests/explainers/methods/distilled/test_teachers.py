import importlib
import json
import logging

import pytest
import torch

from explainers import Distilled, OptiCAM, load_explainer
from explainers.bundle import save_bundle
from explainers.errors import InputError

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's, about few workers


@pytest.mark.parametrize(
    ("teacher", "rule"),
    [
        ("OptiCAM", "teacher must be the class_path and init_args .* got 'OptiCAM'"),
        ({"init_args": {}}, "teacher must be the class_path"),
        ({"class_path": "explainers.OptiCAM", "steps": 3}, "teacher must be the class_path"),
        ({"class_path": "explainers.OptiCAM", "init_args": 3}, "teacher must be the class_path"),
        (
            {"class_path": "explainers.OptiCAM", "init_args": {"classifier": "resnet50"}},
            "without the classifier, which is the student's",
        ),
        ({"class_path": "explainers.RISE", "init_args": {"masks": {1}}}, "in plain values"),
    ],
)
def test_a_teacher_that_is_no_description_is_refused_at_once(teacher, rule, classifier):
    with pytest.raises(InputError, match=rule):
        Distilled(classifier, teacher)


@pytest.mark.parametrize(
    ("teacher", "rule"),
    [
        ({"class_path": "explainers.OptiCam"}, "did you mean OptiCAM"),
        ({"class_path": "os.path"}, "must be a class of explainers or datamodules"),
        ({"class_path": "explainers.OptiCAM", "init_args": {"step": 3}}, "did you mean steps"),
        (
            {"class_path": "explainers.OptiCAM", "init_args": {"steps": 0}},
            "from 1 to 100000, got 0",
        ),
        ({"class_path": "explainers.RCut"}, "needs a vision transformer"),
        ({"class_path": "explainers.FAM"}, "explainers.FAM cannot be a teacher of maps of classes"),
    ],
)
def test_a_teacher_that_cannot_be_built_is_refused_before_the_first_step(
    teacher, rule, classifier, fit
):
    with pytest.raises(InputError, match=rule):
        fit(Distilled(classifier, teacher))


def test_options_out_of_their_range_are_refused(classifier):
    for option, value in {
        "classes_per_image": 5,
        "compositions": -1,
        "teacher_size": 0,
        "teacher_maps_limit": 0.0,
        "decoder_width": 12,
    }.items():
        with pytest.raises(InputError, match=option):
            Distilled(classifier, **{option: value})
    with pytest.raises(InputError, match="unknown teacher_normalisation 'max'"):
        Distilled(classifier, teacher_normalisation="max")


def test_signed_teacher_of_masks_is_told(classifier, caplog):
    teacher = {"class_path": "explainers.baselines.CaptumBaseline", "init_args": {"samples": 2}}
    pytest.importorskip("captum")
    with caplog.at_level(logging.WARNING):
        Distilled(classifier, teacher, teacher_normalisation="rms").ask_teacher()
        assert not caplog.records
        Distilled(classifier, teacher).ask_teacher()
    assert "minmax forgets the sign; rms and answered keep it" in caplog.text


def test_the_teacher_is_no_part_of_the_student(classifier, images, labels):
    teacher = {"class_path": "explainers.PTAMEPlus", "init_args": {"refinement_steps": 1}}
    student = Distilled(classifier, teacher)
    before = student.trained_state().keys()
    student.teacher_answers = student.ask_teacher()
    first = student.teacher_answers.maps(images, labels[:, None])
    assert student.trained_state().keys() == before
    assert all("teacher" not in name for name, _ in student.named_modules())
    state = torch.get_rng_state()
    assert torch.equal(student.ask_teacher().maps(images, labels[:, None]), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert student.teacher_answers.teacher.classifier is classifier


def test_a_bundle_loads_and_explains_without_the_teacher(classifier, images, tmp_path, monkeypatch):
    torch.save(classifier.model.state_dict(), tmp_path / "weights.pth")
    source = {"model": "test_resnet", "weights": str(tmp_path / "weights.pth"), "num_classes": 4}
    teacher = {"class_path": "explainers.baselines.Later", "init_args": {"samples": 3}}
    student = Distilled(source, teacher).eval()
    folder = save_bundle(student, tmp_path / "bundle", {}, [], None)
    assert json.loads((folder / "config.json").read_text())["hyperparameters"]["teacher"] == teacher
    imported = importlib.import_module

    def without(name, *rest):
        assert name != "explainers.baselines"
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    loaded = load_explainer(folder)
    torch.testing.assert_close(loaded(images), student(images), rtol=0, atol=0)
    assert loaded.teacher == teacher


def test_default_teacher_is_opticam(classifier):
    assert isinstance(Distilled(classifier).ask_teacher().teacher, OptiCAM)
