"""Explainers of frozen image classifiers: what users import.

Everything in `__all__` is loaded when it is first asked for, so importing the package is cheap.
"""

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from explainers import moved as _moved

if TYPE_CHECKING:
    from explainers.base import Explainer as Explainer
    from explainers.bundle import load_explainer as load_explainer
    from explainers.classifier import FrozenClassifier as FrozenClassifier
    from explainers.explanation import Explanation as Explanation
    from explainers.explanation import plot as plot
    from explainers.methods import *
    from explainers.methods.similarity import SimilarityExplainer as SimilarityExplainer
    from explainers.training import LearnedExplainer as LearnedExplainer

__version__ = _version("learned-explainers")

_moved.install()

_MODULES = {
    "Explainer": "explainers.base",
    "Explanation": "explainers.explanation",
    "FrozenClassifier": "explainers.classifier",
    "LearnedExplainer": "explainers.training",
    "SimilarityExplainer": "explainers.methods.similarity",
    "load_explainer": "explainers.bundle",
    "plot": "explainers.explanation",
}
"""Public names beside the methods, which `explainers.methods` lists."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  any public name
    """Import a public name at its first use (PEP 562)."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'explainers' has no attribute {name!r}")
    methods = importlib.import_module("explainers.methods")
    if name == "__all__":
        return sorted([*_MODULES, *methods.__all__])
    if name not in methods.__all__:
        raise AttributeError(f"module 'explainers' has no attribute {name!r}")
    return getattr(methods, name)


def __dir__() -> list[str]:
    """Every public name."""
    return [*globals(), *__getattr__("__all__")]
