"""Explainers that need no training, built from the config of a run."""

from pathlib import Path

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.from_config import build, read_yaml
from explainers.training.learned_explainer import LearnedExplainer


def load_untrained(path: Path) -> Explainer:
    """Build the explainer that the `model` of a config of train.py describes.

    Raises:
        InputError: the file cannot be read, has no usable `model`, or one that has to be trained.
    """
    description = read_yaml(path).get("model")
    if not isinstance(description, dict):
        raise InputError(f"{path} lacks 'model', with class_path and init_args")
    explainer: Explainer = build(description, Explainer)
    if isinstance(explainer, LearnedExplainer):
        raise InputError(
            f"{type(explainer).__name__} in {path} has to be trained; run python train.py fit "
            f"--config {path} --bundle FOLDER, then explain --checkpoint FOLDER"
        )
    return explainer.eval()
