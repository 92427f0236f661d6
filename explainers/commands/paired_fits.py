"""Fits of one head on a classifier and on its randomised copy: their configs, and their folders."""

import json
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from explainers.base import Explainer
from explainers.bundle.frozen_sources import NETWORKS
from explainers.classifier.serialisation import LAST_SEED
from explainers.commands import train
from explainers.durable_files import write_aside
from explainers.errors import InputError
from explainers.from_config import parameters_of, read_yaml, resolve
from explainers.training.learned_explainer import LearnedExplainer

SETTINGS = "settings.json"
STARTS = ("init_from", "ckpt_path")
"""Keys by which both heads would start from what one of them has learned."""


def read_training(path: Path) -> dict[str, Any]:
    """Read a config of train.py of a learned explainer that trains in one process.

    Raises:
        InputError: it cannot be read, is of a method that needs no training, or of a fit that
            starts from trained weights or takes several processes.
    """
    config = read_yaml(path)
    for part in ("model", "data"):
        if not isinstance(config.get(part), dict):
            raise InputError(f"{path} lacks {part!r}, with class_path and init_args")
    kind = resolve(str(config["model"].get("class_path", "")), Explainer)
    if not issubclass(kind, LearnedExplainer):
        raise InputError(
            f"{kind.__name__} in {path} needs no training; its randomisation test is the metric "
            "model_randomisation of explainers compare"
        )
    arguments = config["model"].setdefault("init_args", {}) or {}
    config["model"]["init_args"] = arguments
    for name in STARTS:
        if value := arguments.get(name) or config.get(name):
            raise InputError(
                f"{name} {value} in {path} starts both heads from what was learned of one "
                "classifier; leave it out"
            )
    trainer = config.get("trainer") or {}
    devices, nodes = trainer.get("devices", "auto"), trainer.get("num_nodes", 1)
    count = len(devices) if isinstance(devices, list) else devices
    if count not in (1, "1", -1, "-1", "auto") or nodes != 1:
        raise InputError(
            f"{path} trains on devices {devices} of {nodes} nodes, and this command in one process; "
            "set trainer.devices and trainer.num_nodes to 1"
        )
    for name in NETWORKS:  # what is left out is built from its default
        default = parameters_of(kind)[name].default if name in parameters_of(kind) else None
        if arguments.get(name) is None and default is not None:
            arguments[name] = default
    return config


def fit_configs(
    config: Mapping[str, Any], output: Path, weight_seed: int, reference: bool
) -> dict[str, dict[str, Any]]:
    """The configs of the fits, by the name of their folder.

    All are of the same data, schedule and seed; `reference` has the next seed.

    Args:
        config: as `read_training` gives it.
        output: the folder of the folders.
        weight_seed: of the randomised weights.
        reference: whether to train a second head on the true classifier.
    """
    seed = seed_of(config)
    true = _repeatable(config["model"]["init_args"], weight_seed)
    randomised = true | {"classifier": true["classifier"] | {"redraw_seed": weight_seed}}
    fits = {"true": (true, seed), "randomised": (randomised, seed)}
    if reference:
        fits["reference"] = (true, (seed + 1) % LAST_SEED)
    return {
        name: _fit(config, arguments, number, output / name)
        for name, (arguments, number) in fits.items()
    }


def seed_of(config: Mapping[str, Any]) -> int:
    """The seed of a fit; 0 where the config leaves it out, or to chance."""
    seed = config.get("seed_everything", 0)
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else 0


def _repeatable(arguments: Mapping[str, Any], weight_seed: int) -> dict[str, Any]:
    """Arguments in which networks of random weights have a seed, so that bundles can be loaded."""
    changed = dict(arguments)
    for number, name in enumerate(NETWORKS, start=1):
        source = arguments.get(name)
        if source is None:
            continue
        source = dict(source) if isinstance(source, Mapping) else {"model": source}
        if source.get("pretrained") is False and not source.get("weights"):
            source.setdefault("redraw_seed", (weight_seed + number) % LAST_SEED)
        changed[name] = source
    return changed


def _fit(
    config: Mapping[str, Any], arguments: Mapping[str, Any], seed: int, folder: Path
) -> dict[str, Any]:
    """A config of train.py that keeps all that it writes in a folder."""
    fit = deepcopy(dict(config))
    fit["model"]["init_args"] = deepcopy(dict(arguments))
    logger = {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": str(folder), "name": "", "version": ""},
    }
    own: dict[str, Any] = {"default_root_dir": str(folder), "logger": logger}
    if (fit.get("trainer") or {}).get("devices", "auto") in (-1, "-1", "auto"):
        own["devices"] = 1
    trainer = fit["trainer"] = (fit.get("trainer") or {}) | own
    callbacks = trainer.get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        if isinstance(callback, dict) and "dirpath" in (callback.get("init_args") or {}):
            callback["init_args"]["dirpath"] = str(folder / "checkpoints")
    return fit | {"seed_everything": seed, "bundle": str(folder / "bundle")}


def require_same_settings(output: Path, settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Keep the settings of a run in its folder, or compare them with those that are there.

    Raises:
        InputError: the folder holds fits of other settings, or of none that are known.
    """
    path = output / SETTINGS
    now = json.loads(json.dumps(settings, default=str))
    if not path.is_file():
        if held := [name for name in names if (output / name).exists()]:
            raise InputError(f"{output / held[0]} is not of this command; name another --output")
        write_aside(path, json.dumps(now, indent=2).encode())
        return
    try:
        before = _flat(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); name another --output") from error
    flat = _flat(now)
    for name in [*flat, *before]:
        if flat.get(name) != before.get(name):
            raise InputError(
                f"{output} holds fits with {name} {before.get(name, 'left out')}, and here it is "
                f"{flat.get(name, 'left out')}; set it as before, or name another --output"
            )


def _flat(settings: Any, prefix: str = "") -> dict[str, str]:  # noqa: ANN401  plain values
    """The leaves of nested settings by their dotted name."""
    if not isinstance(settings, dict) or not settings:
        return {prefix: json.dumps(settings)}
    leaves: dict[str, str] = {}
    for name, value in settings.items():
        leaves |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return leaves


def trained(fit: Mapping[str, Any], folder: Path, go_on: Sequence[str]) -> Path:
    """The bundle of a fit, which is run, or resumed, unless it is there.

    Args:
        fit: a config, of `fit_configs`.
        folder: of the fit.
        go_on: the words of the command that resumes it.

    Raises:
        InputError: the fit wrote no bundle.
        SystemExit: train.py refused the config, or was interrupted.
    """
    bundle = folder / "bundle"
    if (bundle / "config.json").is_file():  # the last file of a bundle that is written
        print(f"{folder}: trained already")
        return bundle
    print(f"{folder}: training")
    config = folder / "fit.yaml"
    write_aside(config, yaml.safe_dump(dict(fit), sort_keys=False).encode())
    words = ["fit", f"--config={config}"]
    checkpoints = sorted(folder.glob("checkpoints/*.ckpt"), key=lambda path: path.stat().st_mtime)
    words += [f"--ckpt_path={checkpoints[-1]}"] if checkpoints else []
    train.main(words, go_on=shlex.join(go_on))
    if not (bundle / "config.json").is_file():
        raise InputError(f"the fit in {folder} wrote no bundle; leave fast_dev_run out")
    return bundle
