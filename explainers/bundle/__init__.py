"""Bundles: trained explainers as folders that are saved, loaded, described and shared."""

from explainers.bundle.hub import push_to_hub
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle

__all__ = ["load_explainer", "push_to_hub", "save_bundle"]
