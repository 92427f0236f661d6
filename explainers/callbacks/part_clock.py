"""A clock of the parts of a step, on the CPU or in the queue of a device."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor

OTHER = "other"
"""The part of what no other part is."""


class PartClock:
    """Adds up the time between marks, by the part that each begins.

    A mark is a look at the clock or, on a GPU, an event in its queue, which waits for nothing:
    `seconds` alone does.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[tuple[str, Any]] = []
        self._part = OTHER
        self._draws = 0

    def mark(self, part: str) -> None:
        """Begin a part."""
        self._part = part
        if self._device.type == "cpu":
            self._marks.append((part, time.perf_counter()))
        else:
            event = torch.Event(self._device, enable_timing=True)
            event.record()
            self._marks.append((part, event))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done within as a part, and what comes after it as the part before."""
        outer = self._part
        self.mark(name)
        try:
            yield
        finally:
            self.mark(outer)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted as a part."""

        @wraps(function)
        def timed(*args: Any, **options: Any) -> Any:  # noqa: ANN401  of any function
            with self.part(name):
                return function(*args, **options)

        return timed

    def drawn(self, masks: Tensor, name: str) -> None:
        """Begin a part where the backward pass has come to the first masks that were drawn."""
        if masks.requires_grad:
            self._draws += 1
            masks.register_hook(lambda _: self._reached(name))

    def _reached(self, name: str) -> None:
        self._draws -= 1
        if not self._draws:
            self.mark(name)

    def seconds(self) -> dict[str, float]:
        """Seconds by part, up to the last mark."""
        totals: dict[str, float] = {}
        if self._device.type != "cpu":
            self._marks[-1][1].synchronize()
        for (part, begin), (_, end) in zip(self._marks, self._marks[1:], strict=False):
            spent = end - begin if self._device.type == "cpu" else begin.elapsed_time(end) / 1000
            totals[part] = totals.get(part, 0.0) + spent
        return totals
