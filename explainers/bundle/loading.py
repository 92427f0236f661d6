"""Loading a bundle, ready to explain."""

from pathlib import Path
from typing import Any

from explainers.bundle.from_config import construct, parameters_of
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, did_you_mean
from explainers.methods import METHODS
from explainers.training import trained_weights
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
            hyperparameter is unknown, of a wrong type or out of its range, its weights hold NaN
            or are of another precision, or it was made for other frozen networks.
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
    settings = earlier | config["hyperparameters"]
    known = parameters_of(kind)
    for name in (settings | overrides).keys() - known.keys():
        raise InputError(
            f"{config['class']} has no hyperparameter {name!r}; "
            + (
                did_you_mean(name, list(known))
                if name in overrides
                else f"{folder} is of a later version: pip install --upgrade learned-explainers"
            )
        )
    described = {name: value for name, value in settings.items() if name not in overrides}
    explainer: LearnedExplainer = construct(
        kind, described, f"the {config['class']} of {folder}", **overrides
    )
    state = read_state(folder / "model.safetensors")
    trained_weights.require_precision(explainer.trained_state(), state, config["class"])
    if not allow_other_weights:
        trained_weights.require_fingerprints(explainer.fingerprints(), config["fingerprints"])
    explainer.load_trained_state(state, {} if allow_other_weights else config["fingerprints"])
    return explainer.eval()
