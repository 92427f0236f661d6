"""Watch over the processes of a run: when one dies, the others on its machine end too."""

import os
import select
import socket
import sys
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from typing import NoReturn

import torch.distributed
from lightning.pytorch import Callback, LightningModule, Trainer

BETWEEN_LOOKS = 0.5  # seconds
GRACE = 1.0  # seconds for a process that ends by an error of its own to say so first
LOST = 1  # exit code of a process that ends because another one died


class ProcessWatch(Callback):
    """Ends this process, with a line that names the first to die, when another one of the run dies.

    Without it they would wait for each other, for half an hour by torch's default. Watched are
    the processes on the same machine, where the system can watch (Linux).
    """

    def __init__(self) -> None:
        self._processes: dict[int, tuple[int, int]] = {}
        self._ended = threading.Event()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin, where several processes run."""
        self._stop()
        if trainer.world_size == 1 or not hasattr(os, "pidfd_open"):
            return
        mine = (_machine(), os.getpid())
        everyone: list[tuple[str, int]] = [mine] * trainer.world_size
        torch.distributed.all_gather_object(everyone, mine)
        for rank, (machine, process) in enumerate(everyone):
            if machine == mine[0] and process != mine[1]:
                try:
                    self._processes[rank] = (process, os.pidfd_open(process))
                except ProcessLookupError:
                    self._end(rank, process)
        self._ended = threading.Event()
        threading.Thread(
            target=self._watch, args=(self._processes, self._ended), daemon=True
        ).start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop when all processes are here: those that now end do so in order."""
        if self._processes:
            trainer.strategy.barrier()
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Stop; a failure to reach a process that has died is told as its death."""
        self._ended.set()
        if isinstance(exception, RuntimeError):  # as the backends of torch.distributed raise it
            for rank in _dead(self._processes, GRACE):
                self._end(rank, self._processes[rank][0])
        self._stop()

    def __getstate__(self) -> dict[str, object]:
        """Nothing: a process that is started with a copy watches for itself."""
        return {}

    def __setstate__(self, state: object) -> None:
        self.__init__()  # type: ignore[misc]

    def _watch(self, processes: Mapping[int, tuple[int, int]], ended: threading.Event) -> None:
        while not ended.is_set():
            if dead := _dead(processes, BETWEEN_LOOKS):
                if not ended.wait(GRACE):
                    self._end(dead[0], processes[dead[0]][0])
                return

    def _end(self, rank: int, process: int) -> NoReturn:
        if parent_process() is None:  # else the one that launched all of them tells
            print(
                f"error: process {rank} (pid {process}) has died, so the others of the run end "
                "too; go on with --ckpt_path and the last checkpoint",
                file=sys.stderr,
                flush=True,
            )
        sys.stdout.flush()
        os._exit(LOST)  # the main thread may wait for the dead process

    def _stop(self) -> None:
        self._ended.set()
        for _, descriptor in self._processes.values():
            os.close(descriptor)
        self._processes = {}


def _machine() -> str:
    """Host and process namespace: those of processes that can see each other are the same."""
    return f"{socket.gethostname()} {os.stat('/proc/self/ns/pid').st_ino}"


def _dead(processes: Mapping[int, tuple[int, int]], seconds: float) -> list[int]:
    """Ranks of the processes that have ended; waits so long for the first."""
    poll = select.poll()
    for _, descriptor in processes.values():
        poll.register(descriptor, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(1000 * seconds)}
    return [rank for rank, (_, descriptor) in processes.items() if descriptor in ready]
