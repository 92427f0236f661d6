"""Training of learned explainers: their base class, objectives, losses, and weights."""

from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masking_network import MaskingNetwork

__all__ = ["LearnedExplainer", "MaskingNetwork"]
