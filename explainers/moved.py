"""Old paths of classes and functions, which earlier configs and programs name.

Importing an old module gives a module that holds these names, as they are now, and no others.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

MOVED = {
    "explainers.ablation.TokenAblation": "explainers.methods.token_ablation.TokenAblation",
    "explainers.activation_map.ActivationMap": "explainers.methods.activation_map.ActivationMap",
    "explainers.attention_map.AttentionMap": "explainers.methods.attention_map.AttentionMap",
    "explainers.baselines.cam.CAMBaseline": "explainers.baselines.CAMBaseline",
    "explainers.card.write_card": "explainers.bundle.card.write_card",
    "explainers.cdam.CDAM": "explainers.methods.cdam.CDAM",
    "explainers.cdam.IntegratedCDAM": "explainers.methods.cdam.IntegratedCDAM",
    "explainers.cdam.SmoothCDAM": "explainers.methods.cdam.SmoothCDAM",
    "explainers.checkpoints.DurableCheckpoints": "explainers.callbacks.DurableCheckpoints",
    "explainers.concept.concept_embedding": "explainers.classifier.concept.concept_embedding",
    "explainers.embeddings.SimilarityExplainer": "explainers.methods.similarity.SimilarityExplainer",
    "explainers.embeddings.SimilarityGradCAM": (
        "explainers.methods.similarity_grad_cam.SimilarityGradCAM"
    ),
    "explainers.fam.FAM": "explainers.methods.fam.FAM",
    "explainers.feature_cache.FeatureCache": "explainers.callbacks.FeatureCache",
    "explainers.hub.push_to_hub": "explainers.bundle.push_to_hub",
    "explainers.interrupt.InterruptibleFit": "explainers.callbacks.GracefulStop",
    "explainers.lcam.LCAM": "explainers.methods.lcam.LCAM",
    "explainers.learned.LearnedExplainer": "explainers.training.LearnedExplainer",
    "explainers.opticam.OptiCAM": "explainers.methods.opticam.OptiCAM",
    "explainers.pictures.PanelLogger": "explainers.callbacks.PanelLogger",
    "explainers.predicted_maps.PredictedMaps": "explainers.callbacks.MapWriter",
    "explainers.ptame.PTAME": "explainers.methods.ptame.PTAME",
    "explainers.ptame_plus.PTAMEPlus": "explainers.methods.ptame_plus.PTAMEPlus",
    "explainers.rcut.RCut": "explainers.methods.rcut.RCut",
    "explainers.relevance.RelevancePropagation": (
        "explainers.methods.relevance_propagation.RelevancePropagation"
    ),
    "explainers.tame.TAME": "explainers.methods.tame.TAME",
    "explainers.training_clock.TrainingClock": "explainers.callbacks.TrainingClock",
}
"""By old path, the path now."""


class MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the old modules when they are asked for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for an old module; None for any other."""
        old = {path.rpartition(".")[0] for path in MOVED}
        return importlib.machinery.ModuleSpec(name, self) if name in old else None

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its names."""
        for old, new in MOVED.items():
            place, _, name = old.rpartition(".")
            if place == module.__name__:
                setattr(module, name, imported(new))


def imported(path: str) -> Any:  # noqa: ANN401  a class or a function
    """The object at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def install() -> None:
    """Let old modules be imported; once is enough."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
