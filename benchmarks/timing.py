"""Timing that the benchmarks share."""

import time
from collections.abc import Callable

import torch


def seconds(work: Callable[[], object]) -> float:
    """Time of one call: the clock's on a GPU, the processor's otherwise."""
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    started = clock()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - started


def shortest(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The least wall-clock time of each, in seconds, all of them in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            work()  # not timed: the threads of the work before it still spin
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: min(taken) for name, taken in times.items()}
