"""Process pool whose workers end with this process, and a lock that keeps other runs out."""

import fcntl
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from datamodules.errors import DataError

Job = TypeVar("Job")
Answer = TypeVar("Answer")

GRACE = 5.0  # seconds that the processes of a killed run may take to end


def in_parallel(
    work: Callable[[Job], Answer],
    jobs: Sequence[Job],
    workers: int,
    size: Callable[[Job], int],
    unit: str = "image",
) -> Iterator[tuple[int, Answer]]:
    """Yield the number of each job with its answer, as they come, behind a progress bar.

    Args:
        work: a module's function of one job.
        jobs: its arguments.
        workers: processes at most.
        size: of a job, in units of the bar.
        unit: of the bar.

    Raises:
        DataError: a process was killed; or whatever `work` raises.
    """
    with ProcessPoolExecutor(min(workers, len(jobs)), initializer=_start) as pool:
        stoppable = partial(_stoppable, work)
        numbers = {pool.submit(stoppable, job): number for number, job in enumerate(jobs)}
        try:
            with tqdm(total=sum(map(size, jobs)), unit=unit, disable=None) as progress:
                for future in as_completed(numbers):
                    yield numbers[future], future.result()
                    progress.update(size(jobs[numbers[future]]))
        except BrokenProcessPool as error:
            raise DataError(
                "a process was killed, for want of memory perhaps; run the same command again to "
                "go on, with fewer --workers"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    # A Ctrl-C reaches all processes of a terminal; one that waits for work has nothing to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()


def _stoppable(work: Callable[[Job], Answer], job: Job) -> Answer:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work(job)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    """Watch the parent from a thread: nothing else tells its children that it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a child

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, until this one and all its processes have ended.

    Raises:
        DataError: another is there already.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        end = time.monotonic() + GRACE
        while not _locked(handle):
            if time.monotonic() > end:
                raise DataError(
                    f"another process writes shards to {folder.absolute()}; wait for it, or "
                    "choose another --output"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
