"""Timing that the benchmarks share."""

import time
from collections.abc import Callable


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
