"""Explainers of frozen image classifiers; every concrete one is listed in `__all__`."""

from explainers.base import Explainer
from explainers.classifier import FrozenClassifier
from explainers.explanation import Explanation
from explainers.learned import LearnedExplainer
from explainers.opticam import OptiCAM
from explainers.ptame import PTAME

__all__ = ["PTAME", "Explainer", "Explanation", "FrozenClassifier", "LearnedExplainer", "OptiCAM"]
