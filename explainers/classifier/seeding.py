"""Seeding of torch's own generators for the time of a context."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed torch's global state while the context lasts, and put it back; None leaves it alone.

    That of the CPU and of all CUDA devices, once these are in use: a step on a GPU draws there.
    """
    if seed is None:
        yield
        return
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
