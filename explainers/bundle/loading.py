"""Loading a bundle, ready to explain."""

import inspect
from pathlib import Path
from typing import Any

from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, did_you_mean
from explainers.methods import METHODS
from explainers.training.bundle_files import bundle_folder, read_config
from explainers.training.learned_explainer import LearnedExplainer


def load_explainer(
    source: str | Path,
    allow_other_weights: bool = False,
    **overrides: Any,  # noqa: ANN401
) -> LearnedExplainer:
    """Load a bundle, ready to explain.

    Args:
        source: a bundle's folder, or `hf-hub:org/name`, `hf-hub:org/name@revision`.
        allow_other_weights: go on although the frozen networks have other weights than those
            that the explainer was trained with.
        overrides: hyperparameters to use instead of the bundle's, above all
            `classifier=FrozenClassifier(module, …)` for one that was trained on your own module.

    Raises:
        InputError: the bundle is missing, incomplete, damaged or of a later version, a
            hyperparameter is unknown, or it was made for other weights.
    """
    folder = bundle_folder(source)
    config = read_config(folder / "config.json")
    learned = {name: kind for name, kind in METHODS.items() if issubclass(kind, LearnedExplainer)}
    if config["class"] not in learned:
        raise InputError(
            f"{folder} holds a {config['class']!r}; {did_you_mean(config['class'], list(learned))}"
        )
    kind = learned[config["class"]]
    earlier = kind.earlier_settings if config["format"] < 2 else {}
    # Others that an older bundle lacks get their defaults, with which its maps are the same.
    settings = earlier | config["hyperparameters"] | overrides
    known = inspect.signature(kind).parameters
    for name in settings.keys() - known.keys():
        raise InputError(
            f"{config['class']} has no hyperparameter {name!r}; "
            + (
                did_you_mean(name, list(known))
                if name in overrides
                else f"{folder} is of a later version: pip install --upgrade learned-explainers"
            )
        )
    explainer: LearnedExplainer = kind(**settings)
    explainer.load_trained_state(
        read_state(folder / "model.safetensors"),
        {} if allow_other_weights else config["fingerprints"],
    )
    return explainer.eval()
