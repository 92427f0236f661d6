"""Lightning checkpoints as files: read without unpickling, and compared with a config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from explainers.errors import InputError
from explainers.training.trained_weights import STARTING_POINT

NAMED = ("best", "last", "hpc", "registry")
"""First words of the checkpoints that Lightning finds by itself."""

KEPT_BY_THE_OPTIMISER = ("lr", "weight_decay")
"""Hyperparameters whose values a resumed fit takes from the checkpoint's optimiser and schedule."""

CLI_KEYS = ("_class_path", "_instantiator", *STARTING_POINT)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what a fit wrote, a checkpoint or the weights that a forked process hands back.

    Nothing but tensors and plain values is unpickled.

    Raises:
        InputError: it is remote, missing, no checkpoint, or holds anything else.
    """
    if "://" in str(path):
        raise InputError(
            f"the checkpoint {path} is remote; fetch it first, and name the file with --ckpt_path"
        )
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is not there"
        bundle = " (a bundle: explainers explain --checkpoint)" * (file / "config.json").is_file()
        raise InputError(
            f"no checkpoint at {file.absolute()}, which {what}{bundle}; name a .ckpt file that a "
            "fit wrote"
        )
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own advice, to unpickle all that the file holds, would execute it.
        raise InputError(
            f"{path} is no checkpoint of a fit, is cut short, or holds more than tensors and plain "
            f"values ({type(error).__name__}); it is not unpickled. Name a .ckpt file that a fit "
            "wrote"
        ) from error
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise InputError(f"{path} is no checkpoint of a fit: it holds a {kind}")
    return checkpoint


def compare_with_config(
    checkpoint: Mapping[str, Any], class_name: str, hyperparameters: Mapping[str, Any], resume: bool
) -> str | None:
    """Compare the explainer of a checkpoint with that of a config.

    Frozen networks of other weights are refused when the checkpoint is loaded, by fingerprint.

    Args:
        checkpoint: as `read_checkpoint` gives it.
        class_name: of the config's explainer.
        hyperparameters: the explainer's, as plain values.
        resume: whether a fit goes on from the checkpoint.

    Returns:
        A line on the hyperparameters that differ, and whose values count; None if none does.

    Raises:
        InputError: it holds no weights, or the classes differ.
    """
    if "state_dict" not in checkpoint:
        raise InputError("the checkpoint is not of a fit: it has no 'state_dict'; name another")
    theirs = dict(checkpoint.get("hyper_parameters") or {})
    trained = str(theirs.get("_class_path") or checkpoint.get("class") or class_name)
    trained = trained.rpartition(".")[2]
    if trained != class_name:
        raise InputError(
            f"the checkpoint is of a {trained}, and the config describes a {class_name}; use the "
            "config that it was trained with"
        )
    differing = {
        name: (theirs[name], hyperparameters[name])
        for name in theirs.keys() & hyperparameters.keys()
        if name not in CLI_KEYS and _plain(theirs[name]) != _plain(hyperparameters[name])
    }
    if not differing:
        return None
    kept = [name for name in sorted(differing) if resume and name in KEPT_BY_THE_OPTIMISER]
    changed = ", ".join(
        f"{name} ({was!r} there, {now!r} here)" for name, (was, now) in sorted(differing.items())
    )
    text = f"the checkpoint was trained with other hyperparameters: {changed}; those here are used"
    return text + (f", but {' and '.join(kept)} as in the checkpoint" if kept else "")


def _plain(value: Any) -> Any:  # noqa: ANN401  values of hyperparameters
    """A value in which lists are tuples; names of classes do not count."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if key != "class_names"}
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value
