"""Explainers of frozen image classifiers; every concrete one is listed in `__all__`."""

from explainers.ablation import TokenAblation
from explainers.activation_map import ActivationMap
from explainers.attention_map import AttentionMap
from explainers.base import Explainer
from explainers.cdam import CDAM, IntegratedCDAM, SmoothCDAM
from explainers.classifier import FrozenClassifier
from explainers.embeddings import SimilarityExplainer, SimilarityGradCAM
from explainers.explanation import Explanation
from explainers.fam import FAM
from explainers.lcam import LCAM
from explainers.learned import LearnedExplainer
from explainers.opticam import OptiCAM
from explainers.ptame import PTAME
from explainers.ptame_plus import PTAMEPlus
from explainers.rcut import RCut
from explainers.relevance import RelevancePropagation
from explainers.tame import TAME

__all__ = [
    "CDAM",
    "FAM",
    "LCAM",
    "PTAME",
    "TAME",
    "ActivationMap",
    "AttentionMap",
    "Explainer",
    "Explanation",
    "FrozenClassifier",
    "IntegratedCDAM",
    "LearnedExplainer",
    "OptiCAM",
    "PTAMEPlus",
    "RCut",
    "RelevancePropagation",
    "SimilarityExplainer",
    "SimilarityGradCAM",
    "SmoothCDAM",
    "TokenAblation",
]
