"""Classes named in YAML: found, checked, and only then called."""

import pytest

from datamodules import ImageDataModule, ShapesDataModule
from explainers import PTAME, TAME, Explainer
from explainers.errors import InputError
from explainers.from_config import build, resolve

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.mark.parametrize("path", ["explainers.PTAME", "explainers.methods.ptame.PTAME"])
def test_class_is_found_by_its_public_name_and_by_its_module(path):
    assert resolve(path, Explainer) is PTAME


def test_class_is_found_at_the_module_where_it_was():
    assert resolve("explainers.ptame.PTAME", Explainer) is PTAME


@pytest.mark.parametrize(
    ("path", "expected", "message"),
    [
        ("os.system", Explainer, "'os.system' must be a class of explainers or datamodules"),
        ("TAME", Explainer, "'TAME' must be a class of explainers or datamodules"),
        ("explainers.cli.main", Explainer, "explainers.cli.main is no subclass of Explainer"),
        ("explainers.TAME", ImageDataModule, "explainers.TAME is no subclass of ImageDataModule"),
        ("datamodules.ImageDataModule", ImageDataModule, "is no subclass of ImageDataModule"),
        ("explainers.TAM", Explainer, "no 'TAM' in explainers; did you mean TAME"),
        ("explainers.nowhere.TAME", Explainer, "No module named 'explainers.nowhere'"),
    ],
)
def test_other_class_is_refused_without_being_called(path, expected, message, monkeypatch):
    def called(*arguments, **more):
        raise AssertionError("was called")

    monkeypatch.setattr("os.system", called)
    monkeypatch.setattr("explainers.cli.main", called)
    for kind in (TAME, ImageDataModule):
        monkeypatch.setattr(kind, "__init__", called)
    with pytest.raises(InputError, match=message):
        build({"class_path": path}, expected)


def test_object_is_built_from_its_arguments_and_those_of_the_caller():
    described = {"class_path": "explainers.TAME", "init_args": {"area_weight": 3}}
    explainer = build(described, Explainer, classifier=SOURCE)
    assert isinstance(explainer, TAME)
    assert explainer.hparams["area_weight"] == 3
    assert explainer.classifier.num_classes == 4


def test_arguments_may_be_left_out():
    described = {"class_path": "datamodules.ShapesDataModule", "init_args": None}
    assert isinstance(build(described, ImageDataModule), ShapesDataModule)


def test_number_without_a_point_in_yaml_is_a_number():
    described = {"class_path": "explainers.TAME", "init_args": {"lr": "1e-4"}}
    assert build(described, Explainer, classifier=SOURCE).hparams["lr"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": "big"}, "size must be int, got 'big'"),
        ({"sizes": 8}, "unexpected keyword argument 'sizes'; did you mean size"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_wrong_argument_is_named_with_its_rule(arguments, message):
    described = {"class_path": "datamodules.ShapesDataModule", "init_args": arguments}
    with pytest.raises(InputError, match=message):
        build(described, ImageDataModule)
