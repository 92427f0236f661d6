"""Objects of our own classes from YAML: a class_path and init_args."""

import importlib
from pathlib import Path
from typing import Any

import yaml

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.training.learned_explainer import LearnedExplainer


def load_untrained(path: Path) -> Explainer:
    """Build the explainer that the `model` of a config of train.py describes.

    Raises:
        InputError: the file cannot be read, has no usable `model`, or one that has to be trained.
    """
    description = read_yaml(path).get("model")
    if not isinstance(description, dict):
        raise InputError(f"{path} lacks 'model', with class_path and init_args")
    explainer = build(description)
    if not isinstance(explainer, Explainer):
        raise InputError(f"{description['class_path']} in {path} is no explainer")
    if isinstance(explainer, LearnedExplainer):
        raise InputError(
            f"{type(explainer).__name__} in {path} has to be trained; run python train.py fit "
            f"--config {path} --bundle FOLDER, then explain --checkpoint FOLDER"
        )
    return explainer.eval()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values; InputError if it cannot be read."""
    if not path.is_file():
        raise InputError(f"no config at {path.resolve()}")
    try:
        config = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold keys and values, got {type(config).__name__}")
    return config


def build(description: dict[str, Any], **extra: Any) -> Any:  # noqa: ANN401  any of our classes
    """Make an object of one of our own classes; InputError if it cannot be made."""
    module, _, name = str(description.get("class_path", "")).rpartition(".")
    if module.partition(".")[0] not in ("explainers", "datamodules"):
        raise InputError(
            f"class_path {module + '.' + name!r} must be a class of explainers or datamodules"
        )
    try:
        kind = getattr(importlib.import_module(module), name)
        return kind(**(description.get("init_args") or {}), **extra)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{description['class_path']} cannot be built: {error}") from error
