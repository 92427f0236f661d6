"""Names of classes that a classifier takes from its training data, and configs that are not there."""

import pytest

from explainers import ActivationMap
from explainers.commands.train import main
from explainers.commands.training_cli import take_class_names

RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 2}


@pytest.fixture
def explainer():
    return ActivationMap(RANDOM)


def test_classes_without_names_are_called_as_the_data_s(explainer, capsys):
    take_class_names(explainer, ["cat", "dog"])
    assert explainer.classifier.class_names == ["cat", "dog"]
    assert explainer.hparams["classifier"]["class_names"] == ["cat", "dog"]
    assert "test_resnet are named as the data's: cat, dog" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [None, [], ["cat", "dog", "owl"]])
def test_data_that_do_not_tell_change_no_names(explainer, classes, capsys):
    take_class_names(explainer, classes)
    assert explainer.classifier.known_names is None
    told = "has 2 classes and the data 3, so its classes have no names" in capsys.readouterr().err
    assert told == bool(classes)


def test_names_that_are_known_are_kept(capsys):
    explainer = ActivationMap(RANDOM | {"class_names": ["owl", "fox"]})
    take_class_names(explainer, ["cat", "dog"])
    assert explainer.classifier.class_names == ["owl", "fox"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize("words", [["--config", "nope"], ["--config=nope"]], ids=" ".join)
def test_config_that_is_not_there_is_named(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["fit", *words])
    error = capsys.readouterr().err
    assert "no config at" in error
    assert "nope; `explainers list --configs` names those" in error
