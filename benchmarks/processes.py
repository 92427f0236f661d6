"""Seconds, memory and sent bytes of processes of their own."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

FORK = multiprocessing.get_context("fork")


def memory() -> float:
    """The most that this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def apart(work: Callable[..., None], *arguments: Any) -> dict[str, float]:  # noqa: ANN401
    """Figures that `work(queue, *arguments)` puts, measured in a process of its own."""
    queue = FORK.SimpleQueue()
    process = FORK.Process(target=work, args=(queue, *arguments))
    process.start()
    process.join()
    if process.exitcode or queue.empty():
        raise RuntimeError(f"{work.__name__}{arguments} ended with exit code {process.exitcode}")
    found: dict[str, float] = queue.get()
    return found


def seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """Processor time of a call, the shortest of several."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


class StepMeter(Callback):
    """Seconds of the fastest step and bytes that each sends, from the first of the processes."""

    def __init__(self, queue: Any, found: dict[str, float], before: float) -> None:  # noqa: ANN401
        self.queue = queue
        self.found = found
        self.before = before  # GiB, of this process
        self.computed: list[float] = []
        self.waited: list[float] = []
        self.sent = {"all_reduce": 0, "all_gather": 0}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count what goes to other processes."""
        if trainer.world_size == 1:
            return
        trainer.strategy.model.register_comm_hook(None, allreduce_hook)  # type: ignore[union-attr]
        for name, given in (("all_reduce", 0), ("all_gather", 1)):
            setattr(distributed, name, self._counting(name, given, getattr(distributed, name)))

    def _counting(self, name: str, given: int, collective: Callable[..., Any]) -> Any:  # noqa: ANN401
        def counting(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            self.sent[name] += arguments[given].nbytes
            return collective(*arguments, **options)

        return counting

    def on_train_batch_start(self, *_: Any) -> None:  # noqa: ANN401
        """Start."""
        self.sent = dict.fromkeys(self.sent, 0)
        self.started = time.process_time(), time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401
        """Stop."""
        self.computed.append(time.process_time() - self.started[0])
        self.waited.append(time.perf_counter() - self.started[1])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand over."""
        if trainer.is_global_zero:
            trained = [weight for weight in pl_module.parameters() if weight.requires_grad]
            buffers = getattr(trainer.strategy.model, "modules_buffers", [])  # of DDP
            self.queue.put(
                self.found
                | {"step": min(self.computed), "step on the wall": min(self.waited)}
                | {"step GiB": memory() - self.before}
                | {"trained bytes": sum(weight.nbytes for weight in trained)}
                | {f"{name} bytes": count for name, count in self.sent.items()}
                | {"broadcast bytes": sum(buffer.nbytes for buffer in buffers)}
            )
