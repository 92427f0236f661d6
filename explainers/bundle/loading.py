"""Loading a bundle, ready to explain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explainers import methods
from explainers.bundle.frozen_sources import found_sources
from explainers.classifier.weight_files import existing, read_state
from explainers.errors import InputError, did_you_mean
from explainers.from_config import construct, parameters_of
from explainers.training import trained_weights
from explainers.training.bundle_files import bundle_folder, read_config
from explainers.training.learned_explainer import LearnedExplainer


def load_explainer(
    source: str | Path,
    allow_other_weights: bool = False,
    classifier_weights: str | Path | None = None,
    **overrides: Any,  # noqa: ANN401
) -> LearnedExplainer:
    """Load a bundle, ready to explain.

    Args:
        source: a bundle's folder, the name of one that comes with the package, or
            `hf-hub:org/name`, `hf-hub:org/name@revision`.
        allow_other_weights: go on although the frozen networks have other weights than those
            that the explainer was trained with.
        classifier_weights: a file of the classifier's weights, where those that the bundle names
            are elsewhere.
        overrides: hyperparameters to use instead of the bundle's, above all
            `classifier=FrozenClassifier(module, …)` for one that was trained on your own module.

    Raises:
        InputError: the bundle is missing, incomplete, damaged or of a later version, a
            hyperparameter is unknown, of a wrong type or out of its range, its weights hold NaN
            or are of another precision, or it was made for other frozen networks.
    """
    folder = bundle_folder(source)
    config = read_config(folder / "config.json")
    kind = _learned(config["class"])
    if kind is None:
        learned = [name for name in methods.__all__ if _learned(name)]
        raise InputError(
            f"{folder} holds a {config['class']!r}; {did_you_mean(config['class'], learned)}"
        )
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
    if classifier_weights is not None:
        settings = settings | {"classifier": _with_weights(settings, classifier_weights)}
    described = {name: value for name, value in settings.items() if name not in overrides}
    described = found_sources(described, folder)
    explainer: LearnedExplainer = construct(
        kind, described, f"the {config['class']} of {folder}", **overrides
    )
    state = read_state(folder / "model.safetensors")
    trained_weights.require_precision(explainer.trained_state(), state, config["class"])
    if not allow_other_weights:
        trained_weights.require_fingerprints(explainer.fingerprints(), config["fingerprints"])
    explainer.load_trained_state(state, {} if allow_other_weights else config["fingerprints"])
    return explainer.eval()


def _learned(name: str) -> type[LearnedExplainer] | None:
    """The learned explainer of a name, which alone is imported; None where there is none."""
    kind = getattr(methods, name) if name in methods.__all__ else None
    return kind if kind is not None and issubclass(kind, LearnedExplainer) else None


def _with_weights(settings: Mapping[str, Any], weights: str | Path) -> dict[str, Any]:
    """The classifier of a bundle with weights from another file."""
    source = settings.get("classifier")
    described = dict(source) if isinstance(source, Mapping) else {"model": source}
    described.pop("pretrained", None)
    return described | {"weights": str(existing(Path(weights)).absolute())}
