"""Bundles: trained explainers as folders that are saved, loaded, described and shared.

Each is loaded when it is first asked for: to explain takes no card and no hub.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explainers.bundle.hub import push_to_hub
    from explainers.bundle.loading import load_explainer
    from explainers.bundle.saving import save_bundle

__all__ = ["load_explainer", "push_to_hub", "save_bundle"]

_MODULES = {"load_explainer": "loading", "push_to_hub": "hub", "save_bundle": "saving"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any public name
    """Import a public name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
