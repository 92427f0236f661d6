"""What ships: a folder with trained weights, their settings, and a card that says what they are.

`model.safetensors` holds the trained weights only; `config.json` names the class, its
hyperparameters and the frozen networks with the SHA-256 of their weights; `README.md` is the card.
"""

import importlib.metadata
import inspect
import json
import os
import platform
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

import explainers
from explainers.bundle_reader import FORMAT, bundle_folder, read_config
from explainers.card import card
from explainers.classifier import frozen_networks
from explainers.drawing import save_picture
from explainers.errors import InputError
from explainers.finetuning import STARTING_POINT
from explainers.learned import LearnedExplainer
from explainers.scores import PROTOCOL, Row, as_json
from explainers.weights import closest, read_state


def save_bundle(
    explainer: LearnedExplainer,
    folder: str | Path,
    training: dict[str, Any],
    scores: list[Row],
    picture: Tensor | None,
    license: str = "apache-2.0",
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
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = _hyperparameters(explainer)
    # A bundle stands alone: what it was started from is told, and not needed to load it.
    start = {name: value for name in STARTING_POINT if (value := settings.pop(name, None))}
    config = {
        "format": FORMAT,
        "class": type(explainer).__name__,
        "hyperparameters": settings,
        "fingerprints": explainer.fingerprints(),
        "training": training | start,
        "protocol": PROTOCOL,
        "scores": scores,
        "versions": _versions(),
        "license": license,
        "frozen_licenses": _licenses(explainer),
    }
    state = {name: value.contiguous().cpu() for name, value in explainer.trained_state().items()}
    if picture is not None:
        save_picture(picture, folder / "panel.png")
    write_aside(folder / "model.safetensors", safetensors.torch.save(state))
    text = card(folder.resolve().name, as_json(config), picture=picture is not None)
    write_aside(folder / "README.md", text.encode())
    write_aside(folder / "config.json", json.dumps(as_json(config), indent=2).encode())
    return folder


def load_explainer(
    source: str | Path,
    allow_other_weights: bool = False,
    **overrides: Any,  # noqa: ANN401
) -> LearnedExplainer:
    """Load a bundle, ready to explain.

    Args:
        source: a bundle's folder, or `hf-hub:org/name`, `hf-hub:org/name@revision`.
        allow_other_weights: go on although the frozen networks have other weights than those
            that the explainer was trained with.
        overrides: hyperparameters to use instead of the bundle's, above all
            `classifier=FrozenClassifier(module, …)` for one that was trained on your own module.

    Raises:
        InputError: the bundle is missing, incomplete, damaged or of a later version, a
            hyperparameter is unknown, or it was made for other weights.
    """
    folder = bundle_folder(source)
    config = read_config(folder / "config.json")
    learned = {
        name: kind
        for name in explainers.__all__
        if issubclass(kind := getattr(explainers, name), LearnedExplainer)
        and not inspect.isabstract(kind)
    }
    if config["class"] not in learned:
        raise InputError(
            f"{folder} holds a {config['class']!r}; {closest(config['class'], list(learned))}"
        )
    kind = learned[config["class"]]
    # Those that an older bundle lacks get their defaults, which mean what it was trained with.
    settings = config["hyperparameters"] | overrides
    known = inspect.signature(kind).parameters
    for name in settings.keys() - known.keys():
        raise InputError(
            f"{config['class']} has no hyperparameter {name!r}; "
            + (
                closest(name, list(known))
                if name in overrides
                else f"{folder} is of a later version: pip install --upgrade learned-explainers"
            )
        )
    explainer: LearnedExplainer = kind(**settings)
    explainer.load_trained_state(
        read_state(folder / "model.safetensors"),
        {} if allow_other_weights else config["fingerprints"],
    )
    return explainer.eval()


def _hyperparameters(explainer: LearnedExplainer) -> dict[str, Any]:
    """The arguments of its constructor, without what the command line adds to them."""
    known = inspect.signature(type(explainer).__init__).parameters
    return {name: value for name, value in explainer.hparams.items() if name in known}


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


def write_aside(path: Path, content: bytes) -> None:
    """Write a file aside, and put it in place only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
