"""Weight files, read without pickle, and fingerprints of weights."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from explainers.errors import InputError


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file without unpickling anything but tensors.

    Raises:
        InputError: the file is missing, truncated, or holds something else.
    """
    existing(path)
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
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):  # in timm's order
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise InputError(f"{path} must hold a dict of tensors, got {type(state).__name__}")
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of all weights and buffers."""
    return fingerprint_of(network.state_dict())


def fingerprint_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 as of `fingerprint`, of weights and buffers by name."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def existing(path: Path) -> Path:
    """The path of a weights file that is there; InputError if it is not."""
    if not path.is_file():
        raise InputError(f"no weights file at {path.resolve()}")
    return path
