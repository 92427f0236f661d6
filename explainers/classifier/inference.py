"""Inference: eval mode for the time of a call."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
