"""Building a comparison from its YAML file."""

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from explainers.base import Explainer
from explainers.bundle import load_explainer
from explainers.classifier import FrozenClassifier
from explainers.compare import Comparison, Method
from explainers.errors import InputError
from explainers.scoring import Scoreboard
from explainers.trivial import ROWS
from explainers.weights import closest, fingerprint

KEYS = ("classifier", "data", "methods", "metrics", "chunk_size", "panel_images")


def load_comparison(path: Path, bundles: Sequence[str], output: Path) -> Comparison:
    """Build what a YAML file describes; the trivial maps are added to its methods.

    Its keys: `classifier` (see `FrozenClassifier.of`), `data` and each of `methods` by name
    (`class_path` and `init_args`), `metrics`, and optionally `chunk_size` and `panel_images`.

    Args:
        path: the file.
        bundles: folders or hub names of trained explainers of that classifier, to compare too.
        output: where the results go.

    Raises:
        InputError: the file cannot be read, or something in it cannot be built.
    """
    config = _read(path)
    classifier = FrozenClassifier.of(config["classifier"])
    data = _build(config["data"])
    data.setup("test")
    loader = data.test_dataloader()
    explainers: dict[str, Explainer] = {}
    for bundle in bundles:
        explainers[Path(bundle).name] = load_explainer(bundle, classifier=classifier)
    for name, description in config["methods"].items():
        explainers[name] = _build(description, classifier=classifier)
    methods: dict[str, Method] = {name: explainer.eval() for name, explainer in explainers.items()}
    methods |= {row: partial(_blind, trivial) for row, trivial in ROWS.items()}
    chunk_size = config.get("chunk_size", 64)

    def scoreboard(name: str) -> Scoreboard:
        return Scoreboard(config["metrics"], chunk_size, constant_maps=name in ROWS)

    scoreboard("check the names of the metrics before anything is explained")
    protocol = {
        "data": config["data"],
        "classifier": {"source": classifier.source, "sha256": classifier.fingerprint()},
        "metrics": config["metrics"],
        "explainers": {
            name: {"class": type(explainer).__name__} | _plain(explainer)
            for name, explainer in explainers.items()
        },
    }
    return Comparison(
        classifier, methods, loader, scoreboard, protocol, output, config.get("panel_images", 6)
    )


def _blind(trivial: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """A trivial map, which does not look at the class."""
    return trivial(images)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"no config at {path.resolve()}")
    try:
        config = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold keys and values, got {type(config).__name__}")
    for key in config:
        if key not in KEYS:
            raise InputError(f"unknown key {key!r} in {path}; {closest(key, KEYS)}")
    for key in KEYS[:4]:
        if key not in config:
            raise InputError(f"{path} lacks {key!r}")
    return config


def _build(description: dict[str, Any], **extra: Any) -> Any:  # noqa: ANN401  any of our classes
    """Make an object of one of our own classes from its class_path and init_args."""
    module, _, name = str(description.get("class_path", "")).rpartition(".")
    if module.partition(".")[0] not in ("explainers", "datamodules"):
        raise InputError(
            f"class_path {module + '.' + name!r} must be a class of explainers or datamodules"
        )
    try:
        kind = getattr(importlib.import_module(module), name)
        return kind(**(description.get("init_args") or {}), **extra)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{description['class_path']} cannot be built: {error}") from error


def _plain(explainer: Explainer) -> dict[str, Any]:
    """An explainer's settings, and the fingerprint of all its weights, as plain values."""
    settings = {key: value for key, value in explainer.hparams.items() if key != "classifier"}
    return {"settings": settings, "sha256": fingerprint(explainer)}
