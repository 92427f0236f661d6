"""Randomness that depends on given numbers alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seeded(*numbers: int) -> torch.Generator:
    """Create a generator that is the same for the same numbers and unlike any other's."""
    return torch.Generator().manual_seed(hash(numbers) % 2**63)


@contextmanager
def drawing_from(*numbers: int) -> Iterator[None]:
    """Let torch's draws depend on the numbers alone, and leave its own state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(seeded(*numbers).get_state())
        yield
