"""Inference: images that are floats, and eval mode for the time of a call."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from explainers.errors import InputError


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put all of a module in eval mode, and every part back into its own afterwards."""
    training = [part for part in module.modules() if part.training]
    if training:  # else there is nothing to change, in each of hundreds of parts
        module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def require_floats(images: Tensor) -> None:
    """Refuse images of whole numbers, as 0 to 255, which would be far too bright: InputError."""
    if not images.is_floating_point():
        kind = str(images.dtype).removeprefix("torch.")
        raise InputError(
            f"images must be floats in [0, 1], got {kind}; divide those of files by 255"
        )
