"""Explanation methods, one file each; `explainers` offers all that are listed here.

Each is loaded when it is first asked for, so the names of all are known without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explainers.base import Explainer
    from explainers.methods.activation_map import ActivationMap as ActivationMap
    from explainers.methods.attention_map import AttentionMap as AttentionMap
    from explainers.methods.cdam import CDAM as CDAM
    from explainers.methods.cdam import IntegratedCDAM as IntegratedCDAM
    from explainers.methods.cdam import SmoothCDAM as SmoothCDAM
    from explainers.methods.distilled import Distilled as Distilled
    from explainers.methods.fam import FAM as FAM
    from explainers.methods.lcam import LCAM as LCAM
    from explainers.methods.masking_unet import MaskingUNet as MaskingUNet
    from explainers.methods.opticam import OptiCAM as OptiCAM
    from explainers.methods.ptame import PTAME as PTAME
    from explainers.methods.ptame_plus import PTAMEPlus as PTAMEPlus
    from explainers.methods.rcut import RCut as RCut
    from explainers.methods.relevance_propagation import (
        RelevancePropagation as RelevancePropagation,
    )
    from explainers.methods.shapley import ShapleyExplainer as ShapleyExplainer
    from explainers.methods.similarity_grad_cam import SimilarityGradCAM as SimilarityGradCAM
    from explainers.methods.tame import TAME as TAME
    from explainers.methods.token_ablation import TokenAblation as TokenAblation

    METHODS: dict[str, type[Explainer]]

_MODULES = {
    "CDAM": "cdam",
    "FAM": "fam",
    "LCAM": "lcam",
    "PTAME": "ptame",
    "TAME": "tame",
    "ActivationMap": "activation_map",
    "AttentionMap": "attention_map",
    "Distilled": "distilled",
    "IntegratedCDAM": "cdam",
    "MaskingUNet": "masking_unet",
    "OptiCAM": "opticam",
    "PTAMEPlus": "ptame_plus",
    "RCut": "rcut",
    "RelevancePropagation": "relevance_propagation",
    "ShapleyExplainer": "shapley",
    "SimilarityGradCAM": "similarity_grad_cam",
    "SmoothCDAM": "cdam",
    "TokenAblation": "token_ablation",
}
"""By class, the file that it is in."""

__all__ = list(_MODULES)  # the names are written once


def __getattr__(name: str) -> Any:  # noqa: ANN401  a method, or `METHODS`
    """Import a method at its first use (PEP 562); `METHODS` are all, by their names."""
    if name == "METHODS":
        return {known: __getattr__(known) for known in _MODULES}
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Every public name."""
    return [*globals(), *_MODULES, "METHODS"]
