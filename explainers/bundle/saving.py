"""Bundles: folders of trained weights, their settings, and a card that describes them.

`model.safetensors` holds the trained weights only; `config.json` names the class, its
hyperparameters and the frozen networks with the SHA-256 of their weights; `README.md` is the card.
"""

import importlib.metadata
import inspect
import json
import platform
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from explainers.bundle.card import card, shown_folder
from explainers.bundle.frozen_sources import stored_sources
from explainers.classifier import frozen_networks
from explainers.durable_files import write_aside
from explainers.evaluation.protocol import PROTOCOL
from explainers.evaluation.records import Row, as_json
from explainers.images.drawing import save_picture
from explainers.training.bundle_files import FORMAT
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masking_network import NORMALISATIONS
from explainers.training.trained_weights import STARTING_POINT


def save_bundle(
    explainer: LearnedExplainer,
    folder: str | Path,
    training: dict[str, Any],
    scores: list[Row],
    picture: Tensor | None,
    license: str = "apache-2.0",
    protocol: dict[str, str] | None = None,
) -> Path:
    """Write a trained explainer as a bundle, each file aside first and then in place.

    Args:
        explainer: what to ship.
        folder: where; its name becomes the bundle's.
        training: plain values that say on what it was trained, and how long: what
            `TrainingClock.record` gives is what comparisons read.
        scores: rows of a test, the explainer's first.
        picture: a panel (3 h w) in [0, 1] for the card, if there is one.
        license: of the trained weights, as the hub names it.
        protocol: of the test, in words; by default that of maps as the explainer answers.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = _hyperparameters(explainer)
    # A bundle stands alone: what it was started from is told, and not needed to load it.
    start = {name: value for name in STARTING_POINT if (value := settings.pop(name, None))}
    config = {
        "format": FORMAT,
        "class": type(explainer).__name__,
        "hyperparameters": stored_sources(settings),
        "fingerprints": explainer.fingerprints(),
        "training": training | start,
        "protocol": (protocol or PROTOCOL) | _normalisation(settings),
        "scores": scores,
        "versions": _versions(),
        "license": license,
        "frozen_licenses": _licenses(explainer),
    }
    state = {name: _as_loaded(value) for name, value in explainer.trained_state().items()}
    if picture is not None:
        save_picture(picture, folder / "panel.png")
    write_aside(folder / "model.safetensors", safetensors.torch.save(state))
    text = card(folder.resolve().name, as_json(config), shown_folder(folder), picture is not None)
    write_aside(folder / "README.md", text.encode())
    write_aside(folder / "config.json", json.dumps(as_json(config), indent=2).encode())
    return folder


def _as_loaded(weight: Tensor) -> Tensor:
    """A weight on the CPU; in float32, to which those of half precision are widened exactly."""
    weight = weight.contiguous().cpu()
    return weight.float() if weight.is_floating_point() else weight


def _hyperparameters(explainer: LearnedExplainer) -> dict[str, Any]:
    """The arguments of its constructor, without what the command line adds to them."""
    known = inspect.signature(type(explainer).__init__).parameters
    return {name: value for name, value in explainer.hparams.items() if name in known}


def _normalisation(settings: dict[str, Any]) -> dict[str, str]:
    """A line of the protocol on the normalisation of maps, where the explainer has a choice."""
    known = settings.get("normalisation")
    return {} if known is None else {"normalisation": f"{known}: {NORMALISATIONS[known]}"}


def _versions() -> dict[str, str]:
    names = ("learned-explainers", "torch", "timm", "lightning", "safetensors")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version()} | versions


def _licenses(explainer: LearnedExplainer) -> dict[str, str]:
    """Licences of the frozen networks' weights, of those that timm says and that are timm's."""
    found = {}
    for name, network in frozen_networks(explainer).items():
        license = (getattr(network.model, "pretrained_cfg", None) or {}).get("license")
        elsewhere = network.name.startswith(("package:", "local-dir:", "module:"))
        if license and not elsewhere and network.source.keys() <= {"model", "fold_batch_norm"}:
            found[name] = license
    return found
