"""Networks of timm with weights from its hub, a repository, a file, or a package."""

import logging
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import clean_state_dict
from torch import Tensor, nn

from explainers.classifier.sources.hub_files import WEIGHTS, hub_file
from explainers.classifier.sources.package_source import packaged
from explainers.classifier.sources.state_dicts import misfit, unprefixed
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)


def create(
    name: str,
    pretrained: bool = True,
    weights: str | None = None,
    num_classes: int | None = None,
) -> nn.Module:
    """Build a timm model from any of the sources that need no code of the user's.

    Args:
        name: a timm name (`resnet50.a1_in1k`), `hf-hub:org/name`, `local-dir:path`, or
            `package:efficientnet_lite0|1|2` for weights that come as a Python package.
        pretrained: load the weights that the name stands for; False draws random ones.
        weights: a checkpoint file (.safetensors, .pth) to take the weights from instead.
        num_classes: classes to tell apart; by default as many as the weights do.

    Raises:
        InputError: the name, the file or its shapes are not usable, or the hub is not reached.
    """
    what = weights or name
    overlay: dict[str, Any] = {"source": ""}  # else timm reads a folder, and unpickles it
    state: dict[str, Tensor] = {}
    wanted = pretrained and weights is None
    if name.startswith("package:"):
        name, state = packaged(name.removeprefix("package:"))
    elif name.startswith("hf-hub:"):
        repository = name.removeprefix("hf-hub:")
        name = f"local-dir:{hub_file(repository, ['config.json']).parent}"
        state = read_state(hub_file(repository, WEIGHTS)) if wanted else {}
    elif name.startswith("local-dir:"):
        if wanted:
            state = read_state(_weights_in(Path(name.removeprefix("local-dir:"))))
    else:
        _check_name(name)
        state = _published(name) if wanted else {}
    if weights is not None:
        with torch.device("meta"):  # for its names alone
            names = timm.create_model(name).state_dict().keys()
        state = unprefixed(read_state(Path(weights)), names)
        if num_classes is None:
            num_classes = _count_classes(name, state)
        if num_classes is not None:  # a network without a head has none to count
            overlay["num_classes"] = num_classes
    if state and (pretrained or weights is not None):
        overlay["state_dict"] = clean_state_dict(state)
    try:
        model = _create_resizable(
            name,
            pretrained=pretrained or weights is not None,
            pretrained_cfg_overlay=overlay,
            num_classes=num_classes,
        )
    except Exception as error:
        # timm and torch each raise their own kind for what is here one thing: these weights do not
        # make this network.
        reason = " ".join(str(error).split())[:300]
        if "loading state_dict" in reason:
            with torch.device("meta"):
                expected = timm.create_model(name, num_classes=num_classes).state_dict()
            reason = misfit(expected, state) or reason
        raise InputError(
            f"the weights of {what!r} cannot be loaded into {name!r}: {reason}; use a local file "
            f"(weights: FILE, or local-dir:PATH), or pretrained: false for random weights"
        ) from error
    (getattr(model, "pretrained_cfg", None) or {}).pop("state_dict", None)  # not held twice
    if wanted:
        _warn_of_a_random_head(name, model, num_classes)
    return model


def _published(name: str) -> dict[str, Tensor]:
    """Weights that timm publishes on the hub; none where they are elsewhere, for timm to fetch."""
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id or config.custom_load == "hf":  # type: ignore[comparison-overlap]
        return {}
    named = config.hf_hub_filename
    safe = [f"{named.rpartition('.')[0]}.safetensors", named] if named else WEIGHTS
    return read_state(hub_file(config.hf_hub_id, safe))


def _weights_in(folder: Path) -> Path:
    """The weights file of a folder: the first of timm's names, or the first by kind and name."""
    for name in ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"):
        if (folder / name).is_file():
            return folder / name
    for suffix in (".safetensors", ".pth", ".pth.tar", ".bin"):
        if files := sorted(folder.glob(f"*{suffix}")):
            return files[0]
    raise InputError(
        f"no weights file in {folder.resolve()}; name a folder with config.json and "
        "model.safetensors"
    )


def _warn_of_a_random_head(name: str, model: nn.Module, num_classes: int | None) -> None:
    known = (getattr(model, "pretrained_cfg", None) or {}).get("num_classes")
    if num_classes and known != num_classes:
        logger.warning(
            "the last layer of %s is random: its weights tell apart %s classes, and num_classes is "
            "%d; leave num_classes out, or name a file of weights for these classes",
            name,
            known,
            num_classes,
        )


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise InputError(
            f"unknown model {name!r}; {did_you_mean(architecture, timm.list_models())}"
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise InputError(
            f"{architecture!r} has no published weights {tag!r}; {did_you_mean(tag, tags)}"
        )


def _count_classes(name: str, state: dict[str, Tensor]) -> int | None:
    """Classes that a checkpoint's last layer tells apart, None where it has no such layer."""
    layer = timm.get_pretrained_cfg(name, allow_unregistered=True)
    key = f"{layer.classifier}.weight" if layer is not None and layer.classifier else ""
    return len(state[key]) if key in state else None


def _create_resizable(name: str, **options: Any) -> nn.Module:  # noqa: ANN401
    """Build a model that takes images of any size, wherever its architecture can."""
    try:
        return timm.create_model(name, dynamic_img_size=True, **options)
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    return timm.create_model(name, **options)
