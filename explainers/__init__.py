"""Explainers of frozen image classifiers; every concrete one is listed in `__all__`."""

from explainers.base import Explainer
from explainers.classifier import FrozenClassifier
from explainers.explanation import Explanation
from explainers.lcam import LCAM
from explainers.learned import LearnedExplainer
from explainers.opticam import OptiCAM
from explainers.ptame import PTAME
from explainers.ptame_plus import PTAMEPlus
from explainers.tame import TAME

__all__ = [
    "LCAM",
    "PTAME",
    "TAME",
    "Explainer",
    "Explanation",
    "FrozenClassifier",
    "LearnedExplainer",
    "OptiCAM",
    "PTAMEPlus",
]
