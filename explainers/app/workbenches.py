"""Workbenches of the web page: bundles, configs, and all methods that need no training."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from explainers.app.workbench import Workbench
from explainers.base import Explainer
from explainers.baselines import CAMBaseline
from explainers.bundle.loading import load_explainer
from explainers.bundle.untrained import load_untrained
from explainers.classifier import FrozenClassifier
from explainers.errors import InputError
from explainers.methods import METHODS
from explainers.training.bundle_files import bundle_name
from explainers.training.learned_explainer import LearnedExplainer


def untrained_methods(classifier: FrozenClassifier) -> dict[str, Explainer]:
    """All methods that need no training and can explain this classifier."""
    found: dict[str, Explainer] = {}
    for name, kind in METHODS.items():
        if issubclass(kind, LearnedExplainer):
            continue
        settings = kind.quick_settings
        suffix = "".join(f", {value} {key}" for key, value in settings.items())
        try:
            found[name + suffix] = kind(classifier, **settings).eval()
        except InputError:  # the method cannot explain this classifier
            continue
    with suppress(InputError):  # the package is not there, or knows no layer
        found["Grad-CAM"] = CAMBaseline(classifier).eval()
    return found


def load_workbenches(
    bundles: Sequence[str] = (),
    configs: Sequence[Path] = (),
    classifier_weights: Path | None = None,
    folder: Path = Path("checkpoints"),
) -> dict[str, Workbench]:
    """One workbench a classifier, by its name: what is requested, then all that needs no training.

    Args:
        bundles: folders or hub names of trained explainers.
        configs: configs of methods that need no training.
        classifier_weights: a file of weights of the bundles' classifier, where those that they
            name are elsewhere.
        folder: whose bundles to take if nothing is requested; those that cannot be loaded are left
            out with a warning.

    Raises:
        InputError: a bundle or config cannot be loaded, there is none at all, or weights are given
            and no bundle is.
    """
    if classifier_weights is not None and not bundles:
        raise InputError(
            "--classifier-weights goes with --checkpoint; name the bundles whose classifier it is, "
            "or name the file as weights of the classifier in the config"
        )
    requested: dict[str, Explainer] = {}
    for bundle in bundles:
        name = bundle_name(bundle)
        if name in requested:
            raise InputError(f"two bundles are called {name!r}; rename the folder of one")
        requested[name] = load_explainer(bundle, classifier_weights=classifier_weights)
    for config in configs:
        requested[config.stem] = load_untrained(config)
    if not bundles and not configs:
        for found in sorted(folder.glob("*/config.json")):
            try:
                requested[found.parent.name] = load_explainer(found.parent)
            except InputError as error:
                warnings.warn(f"left out {found.parent}: {error}", stacklevel=2)
    if not requested:
        raise InputError(
            f"no bundle to load in {folder.resolve()}; name some by --checkpoint, or a config of "
            "a method that needs no training by --config"
        )
    grouped: dict[str, dict[str, Explainer]] = {}
    for name, explainer in requested.items():
        grouped.setdefault(explainer.classifier.fingerprint(), {})[name] = explainer
    benches: dict[str, Workbench] = {}
    for fingerprint, methods in grouped.items():
        classifier = next(iter(methods.values())).classifier
        name = classifier.name
        name = f"{name} {fingerprint[:8]}" if name in benches else name
        benches[name] = Workbench(methods | untrained_methods(classifier))
    return benches
