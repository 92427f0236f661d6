"""Reading the files of a bundle, without knowing of explainers."""

import json
from pathlib import Path
from typing import Any

from explainers.classifier.sources.hub_files import hub_folder
from explainers.errors import InputError, shown
from explainers.shipped import bundle_path

FORMAT = 2
"""Rises when older versions would misread a bundle; what is only added leaves it as it is.

1: learned explainers without `normalisation`, `upsampling` and `tokens` are those of
`LearnedExplainer.earlier_settings`. 2: they have their defaults.
"""

FILES = ("config.json", "model.safetensors", "README.md", "panel.png")
"""Files of a bundle; nothing else is fetched from the hub, or sent there."""

MAPPING = ((dict,), "a mapping")
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "class": ((str,), "a name"),
    "hyperparameters": MAPPING,
    "fingerprints": ((dict, type(None)), "a mapping of SHA-256 by network"),
    "training": MAPPING,
    "protocol": MAPPING,
    "versions": MAPPING,
    "frozen_licenses": MAPPING,
    "scores": ((list,), "a list of rows"),
}
"""Types of what config.json holds, and their names in messages."""


def bundle_name(source: str | Path) -> str:
    """Name of a bundle: that of its folder, or on the hub."""
    return Path(source).name or Path(source).resolve().name


def bundle_folder(source: str | Path) -> Path:
    """The folder of a bundle, fetched first from `hf-hub:org/name` or `hf-hub:org/name@revision`.

    What was fetched once is found in the hub's cache without a network. A bundle of the package
    is found by its name.

    Raises:
        InputError: there is none.
    """
    if str(source).startswith("hf-hub:"):
        folder = hub_folder(str(source).removeprefix("hf-hub:"), FILES)
    else:
        folder = bundle_path(source)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"no bundle at {folder.resolve()}: it has no config.json; "
            "`python train.py fit --config … --bundle FOLDER` writes one, and `explainers list` "
            "names those that come with the package"
        )
    return folder


def read_config(path: Path) -> dict[str, Any]:
    """The content of a bundle's config.json.

    Raises:
        InputError: it is damaged, incomplete, or of a later format.
    """
    try:
        config: dict[str, Any] = json.loads(path.read_text())
        missing = {"format", "class", "hyperparameters", "fingerprints"} - config.keys()
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a bundle's config.json: {error}; fetch it again"
        ) from error
    if missing:
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}; fetch the bundle again")
    if isinstance(config["format"], bool) or not isinstance(config["format"], int):
        raise InputError(f"{path} has format {shown(config['format'])}, no number; fetch it again")
    if config["format"] > FORMAT:
        raise InputError(
            f"{path} has format {config['format']}, this version reads up to {FORMAT}; "
            "run: pip install --upgrade learned-explainers"
        )
    for key, (kind, words) in KINDS.items():
        if key in config and not isinstance(config[key], kind):
            raise InputError(
                f"{key!r} in {path} must be {words}, got {shown(config[key])}; fetch the bundle "
                "again"
            )
    return config
