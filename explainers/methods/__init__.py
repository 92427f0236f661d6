"""Explanation methods, one file each; `explainers` offers all that are listed here."""

from explainers.base import Explainer
from explainers.methods.activation_map import ActivationMap
from explainers.methods.attention_map import AttentionMap
from explainers.methods.cdam import CDAM, IntegratedCDAM, SmoothCDAM
from explainers.methods.distilled import Distilled
from explainers.methods.fam import FAM
from explainers.methods.lcam import LCAM
from explainers.methods.masking_unet import MaskingUNet
from explainers.methods.opticam import OptiCAM
from explainers.methods.ptame import PTAME
from explainers.methods.ptame_plus import PTAMEPlus
from explainers.methods.rcut import RCut
from explainers.methods.relevance_propagation import RelevancePropagation
from explainers.methods.shapley import ShapleyExplainer
from explainers.methods.similarity_grad_cam import SimilarityGradCAM
from explainers.methods.tame import TAME
from explainers.methods.token_ablation import TokenAblation

__all__ = [
    "CDAM",
    "FAM",
    "LCAM",
    "PTAME",
    "TAME",
    "ActivationMap",
    "AttentionMap",
    "Distilled",
    "IntegratedCDAM",
    "MaskingUNet",
    "OptiCAM",
    "PTAMEPlus",
    "RCut",
    "RelevancePropagation",
    "ShapleyExplainer",
    "SimilarityGradCAM",
    "SmoothCDAM",
    "TokenAblation",
]

METHODS: dict[str, type[Explainer]] = {name: globals()[name] for name in __all__}
"""The methods by their names."""
