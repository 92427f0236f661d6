"""Explainers of frozen image classifiers; every concrete one is listed in `__all__`."""

from explainers.ablation import TokenAblation
from explainers.attention_map import AttentionMap
from explainers.base import Explainer
from explainers.cdam import CDAM, IntegratedCDAM, SmoothCDAM
from explainers.classifier import FrozenClassifier
from explainers.explanation import Explanation
from explainers.learned import LearnedExplainer
from explainers.ptame import PTAME
from explainers.relevance import RelevancePropagation

__all__ = [
    "CDAM",
    "PTAME",
    "AttentionMap",
    "Explainer",
    "Explanation",
    "FrozenClassifier",
    "IntegratedCDAM",
    "LearnedExplainer",
    "RelevancePropagation",
    "SmoothCDAM",
    "TokenAblation",
]
