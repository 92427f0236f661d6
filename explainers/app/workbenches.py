"""All that can be asked of the classifiers at hand: bundles, and methods without training."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from explainers.app.workbench import Workbench
from explainers.base import Explainer
from explainers.baselines import CAMBaseline
from explainers.bundle.from_config import load_untrained
from explainers.bundle.loading import load_explainer
from explainers.classifier import FrozenClassifier
from explainers.errors import InputError
from explainers.methods import METHODS
from explainers.training.learned_explainer import LearnedExplainer


def untrained_methods(classifier: FrozenClassifier) -> dict[str, Explainer]:
    """All methods that need no training and can explain this classifier."""
    found: dict[str, Explainer] = {}
    for name, kind in METHODS.items():
        if issubclass(kind, LearnedExplainer):
            continue
        settings = kind.quick_settings
        told = ", ".join(f"{value} {key}" for key, value in settings.items())
        try:
            found[f"{name}, {told}" if told else name] = kind(classifier, **settings).eval()
        except InputError:  # this classifier is none of those that the method knows
            continue
    with suppress(InputError):  # the package is not there, or knows no layer
        found["Grad-CAM"] = CAMBaseline(classifier).eval()
    return found


def load_workbenches(
    bundles: Sequence[str] = (), configs: Sequence[Path] = (), folder: Path = Path("checkpoints")
) -> dict[str, Workbench]:
    """A workbench a classifier, by its name: what is asked for, then all that needs no training.

    Args:
        bundles: folders or hub names of trained explainers.
        configs: configs of methods that need no training.
        folder: whose bundles to take if nothing is asked for; those that cannot be loaded are left
            out with a warning.

    Raises:
        InputError: something asked for cannot be loaded, or there is nothing at all.
    """
    asked: dict[str, Explainer] = {}
    for bundle in bundles:
        asked[Path(bundle).name] = load_explainer(bundle)
    for config in configs:
        asked[config.stem] = load_untrained(config)
    if not bundles and not configs:
        for found in sorted(folder.glob("*/config.json")):
            try:
                asked[found.parent.name] = load_explainer(found.parent)
            except InputError as error:
                warnings.warn(f"left out {found.parent}: {error}", stacklevel=2)
    if not asked:
        raise InputError(
            f"no bundle to load in {folder.resolve()}; name some by --checkpoint, or a config of "
            "a method that needs no training by --config"
        )
    grouped: dict[str, dict[str, Explainer]] = {}
    for name, explainer in asked.items():
        grouped.setdefault(explainer.classifier.fingerprint(), {})[name] = explainer
    benches: dict[str, Workbench] = {}
    for fingerprint, methods in grouped.items():
        classifier = next(iter(methods.values())).classifier
        name = classifier.name
        name = f"{name} {fingerprint[:8]}" if name in benches else name
        benches[name] = Workbench(methods | untrained_methods(classifier))
    return benches
