"""Import of optional packages, and use of a classifier by them without traces left on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import InputError

# Of all classifiers: the seeds and the error stream that the adapters set are the process's own.
_using = RLock()


@contextmanager
def lent(classifier: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """Let a package use a classifier: gradients on, float32, hooks and parts restored afterwards.

    Gives a copy of the images that may require gradients, whatever mode the caller is in. Threads
    take turns, as the packages' hooks would note the passes of all.
    """
    with (
        _using,
        _restored(classifier),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(images.device.type, enabled=False),
    ):
        yield images.detach().float().clone()


@contextmanager
def _restored(classifier: nn.Module) -> Iterator[None]:
    """Put hooks, parts and weights of a classifier back afterwards."""
    tables = [
        (table, table.copy())
        for part in classifier.modules()
        for table in vars(part).values()
        if isinstance(table, dict)
    ]
    try:
        yield
    finally:
        for table, entries in tables:
            table.clear()
            table.update(entries)


def package(module: str, distribution: str) -> Any:  # noqa: ANN401  a module without types
    """Import a module of a distribution that is an extra of ours; raise InputError without it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"this method is {distribution}'s, which cannot be imported ({error}); "
            'pip install "learned-explainers[compare]"'
        ) from error
