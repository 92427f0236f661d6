"""Explainers that cannot be exported, and how the refusal says why."""

import re

import pytest

from explainers import LCAM, Explainer, LearnedExplainer, PTAMEPlus
from explainers.errors import ArchitectureError, InputError
from explainers.export import onnx_file
from explainers.export.onnx_file import export_onnx
from explainers.export.torch_file import export_torch
from explainers.methods import METHODS

UNLEARNED = [kind for kind in METHODS.values() if not issubclass(kind, LearnedExplainer)]

# torch's exporters and onnxscript warn of their own parts.
pytestmark = pytest.mark.filterwarnings("default")


def source(name="test_resnet"):
    return {"model": name, "pretrained": False, "num_classes": 4}


@pytest.fixture(params=UNLEARNED, ids=lambda kind: kind.__name__)
def unlearned(request):
    for name in ("test_vit", "test_resnet"):
        try:
            return request.param(source(name))
        except ArchitectureError:
            continue
    raise AssertionError(f"no tiny classifier for {request.param.__name__}")


def test_methods_of_more_than_one_pass_say_why(unlearned, tmp_path):
    assert unlearned.export_obstacle != Explainer.export_obstacle
    told = f"{type(unlearned).__name__} cannot be exported: it {unlearned.export_obstacle}; a learn"
    with pytest.raises(InputError, match=re.escape(told)):
        export_onnx(unlearned, tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_refinement_cannot_be_exported(tmp_path):
    explainer = PTAMEPlus(source(), refinement_steps=2)
    with pytest.raises(
        InputError,
        match=r"^PTAMEPlus cannot be exported: it optimises each map by gradient steps; set "
        r"refinement_steps to 0$",
    ):
        export_torch(explainer, tmp_path / "one.pt2")
    explainer.refinement_steps = 0
    assert explainer.export_obstacle is None


def test_ending_of_the_file_is_checked(tmp_path):
    with pytest.raises(InputError, match=r"has to end in \.pt2, got 'one\.onnx'"):
        export_torch(LCAM(source()), tmp_path / "one.onnx")


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package onnx; .*learned-explainers\[export\]"):
        export_onnx(LCAM(source()), tmp_path / "one.onnx")
