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
from explainers.drawing import save_picture
from explainers.errors import InputError
from explainers.finetuning import STARTING_POINT
from explainers.learned import LearnedExplainer
from explainers.scores import PROTOCOL, Row, as_json, table
from explainers.weights import closest, read_state


def save_bundle(
    explainer: LearnedExplainer,
    folder: str | Path,
    training: dict[str, Any],
    scores: list[Row],
    picture: Tensor,
) -> Path:
    """Write a trained explainer as a bundle, each file aside first and then in place.

    Args:
        explainer: what to ship.
        folder: where; its name becomes the bundle's.
        training: plain values that say on what and how long it was trained.
        scores: rows of a test, the explainer's first.
        picture: a panel (3 h w) in [0, 1] for the card.
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
    }
    state = {name: value.contiguous().cpu() for name, value in explainer.trained_state().items()}
    save_picture(picture, folder / "panel.png")
    write_aside(folder / "model.safetensors", safetensors.torch.save(state))
    write_aside(folder / "README.md", _card(folder.name, config).encode())
    write_aside(folder / "config.json", json.dumps(as_json(config), indent=2).encode())
    return folder


def load_explainer(
    source: str | Path,
    allow_other_weights: bool = False,
    **overrides: Any,  # noqa: ANN401
) -> LearnedExplainer:
    """Load a bundle, ready to explain.

    Args:
        source: a bundle's folder, or `hf-hub:org/name`.
        allow_other_weights: go on although the frozen networks have other weights than those
            that the explainer was trained with.
        overrides: hyperparameters to use instead of the bundle's, above all
            `classifier=FrozenClassifier(module, …)` for one that was trained on your own module.

    Raises:
        InputError: the bundle is missing, incomplete or damaged, or was made for other weights.
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
    explainer: LearnedExplainer = learned[config["class"]](
        **(config["hyperparameters"] | overrides)
    )
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


def _card(name: str, config: dict[str, Any]) -> str:
    settings = config["hyperparameters"]
    training = "\n".join(f"- {key}: {value}" for key, value in config["training"].items())
    protocol = "; ".join(f"{key}: {value}" for key, value in config["protocol"].items())
    return f"""# {name}

A {config["class"]} explainer of `{settings["classifier"]["model"]}`: one pass answers where in an
image the evidence for a class is.

![image, map, overlay, what is kept, and the overlay of the second class](panel.png)

```
explainers explain --checkpoint checkpoints/{name} --image photo.jpg --output maps
```

## Scores

{table(config["scores"])}

Protocol: {protocol}. The rows below the first are trivial maps that explain nothing.

## Training

{training}

The frozen networks' weights are not in this folder; they are fetched from their own sources and
checked against the SHA-256 in `config.json`.
"""
