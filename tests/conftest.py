"""What the tests share: a seed, one thread, tiny classifiers, images for them, and processes."""

import json
import os
import runpy
import subprocess
import sys
import time
import warnings
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.multiprocessing
from PIL import Image
from webdataset import TarWriter

from explainers.classifier.freed_memory import keep_freed_memory

ROOT = Path(__file__).parents[1]

# On a busy machine, threads that wait for each other make these tiny models 20 times slower.
torch.set_num_threads(1)
keep_freed_memory()


def pytest_collection_modifyitems(items):
    """Fast tests first, whatever is selected."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=["test_resnet", "test_vit", "test_convnext"])
def architecture(request):
    """Convolutional, transformer and in between, each of under 500,000 weights."""
    return request.param


@pytest.fixture
def source(architecture):
    """A classifier's source with random weights and 4 classes."""
    return {"model": architecture, "pretrained": False, "num_classes": 4}


@pytest.fixture
def images():
    """Three images (3 3 96 128) in [0, 1], wider than high."""
    return torch.rand(3, 3, 96, 128)


@pytest.fixture
def labels():
    return torch.tensor([0, 2, 3])


@pytest.fixture
def assert_untouched():
    """Check that a frozen classifier is as it was: no hook, no flag, no gradient left on it."""

    def check(classifier, fingerprint):
        for module in classifier.modules():
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
            assert not module._backward_hooks
            assert not module._backward_pre_hooks
            assert not module.training
        assert all(not weight.requires_grad for weight in classifier.parameters())
        assert all(weight.grad is None for weight in classifier.parameters())
        assert classifier.fingerprint() == fingerprint

    return check


def _take_part(rank, work, folder, seconds):
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=seconds),
    )
    torch.save(work(rank), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="session")
def in_two_processes(tmp_path_factory):
    """Call `work(rank)` in two gloo processes, and return what each answers: tensors or numbers.

    An exception in one is raised here; TimeoutError if they wait for each other for too long.
    """

    def run(work, seconds=60):
        folder = tmp_path_factory.mktemp("processes")
        processes = torch.multiprocessing.start_processes(
            _take_part, (work, folder, seconds), nprocs=2, join=False, start_method="fork"
        )
        end = time.monotonic() + seconds
        try:
            while not processes.join(max(0, end - time.monotonic())):
                if time.monotonic() > end:
                    raise TimeoutError(f"two processes were not done after {seconds} seconds")
        finally:
            for process in processes.processes:
                process.kill()
        return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]

    return run


@pytest.fixture
def no_command_line(monkeypatch, tmp_path):
    """Keep pytest's own arguments from the CLI, and the checkout from its output."""
    monkeypatch.setattr("sys.argv", ["train.py"])
    monkeypatch.chdir(tmp_path)


def _captured(work, outputs):
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    warnings.resetwarnings()  # pytest makes errors of them
    # On the CPU, a fork is sound even where a test before it has looked for GPUs, as torch.compile
    # does; Lightning would refuse to fork once more.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.cuda._is_in_bad_fork = lambda: False
    work()


class _Run(NamedTuple):
    """A process that has been started; `result` waits for its end."""

    process: BaseProcess
    outputs: list[Path]

    def result(self, seconds=120):
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            raise TimeoutError(f"the process was not done after {seconds} seconds")
        printed = [path.read_text() for path in self.outputs]
        return subprocess.CompletedProcess("fork", self.process.exitcode, *printed)


@pytest.fixture(scope="session")
def start_process(tmp_path_factory):
    """Start `work()` in a process of its own, as a program whose prints are kept.

    The process is a fork of this one, which has imported torch and Lightning already: a new
    interpreter takes five seconds for that.
    """

    def start(work):
        folder = tmp_path_factory.mktemp("process")
        outputs = [folder / "stdout", folder / "stderr"]
        fork = torch.multiprocessing.get_context("fork")
        process = fork.Process(target=_captured, args=(work, outputs))
        process.start()
        return _Run(process, outputs)

    return start


@pytest.fixture(scope="session")
def start_train(start_process):
    """Start train.py in a process of its own; `code` runs there first."""

    def start(*arguments, code=None):
        def work():
            os.chdir(ROOT)
            sys.argv = ["train.py", *arguments]
            if code is None:
                runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
            else:
                program = f"{code}\nimport train\ntrain.main()"
                exec(program, {"__name__": "__main__"})  # noqa: S102  the tests' own

        return start_process(work)

    return start


@pytest.fixture(scope="session")
def train(start_train):
    """Run train.py in a process of its own, and wait for it."""
    return lambda *arguments, code=None: start_train(*arguments, code=code).result()


@pytest.fixture(scope="session")
def events_of():
    """Read what a run logged to TensorBoard in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return lambda folder: EventAccumulator(str(folder)).Reload()


@pytest.fixture
def shards(tmp_path):
    """A function of how many shards 21 noisy photographs are in; it returns options for them."""

    def write(count, samples=21):
        folder = tmp_path / f"shards-{count}"
        folder.mkdir()
        lengths = []
        for number in range(count):
            members = range(number, samples, count)
            with TarWriter(str(folder / f"noise-{number}.tar")) as tar:
                for index in members:
                    noise = np.random.default_rng(index)
                    pixels = noise.integers(0, 255, (60 + index, 80, 3), dtype=np.uint8)
                    image = Image.fromarray(pixels)
                    tar.write({"__key__": f"{index:02d}", "jpg": image, "cls": index % 4})
            lengths.append(len(members))
        names = [f"noise-{number}.tar" for number in range(count)]
        split = {"filenames": names, "shard_lengths": lengths, "num_samples": samples}
        (folder / "_info.json").write_text(json.dumps({"splits": {"noise": split}}))
        return [
            "--data=datamodules.ShardsDataModule",
            *(f"--data.{split}={folder}/noise-*.tar" for split in ("train", "val", "test")),
            "--data.size=48",
            "--data.resize=56",
        ]

    return write


@pytest.fixture
def config(tmp_path):
    """The smoke config's model and trainer, without its data."""
    text = (ROOT / "configs/smoke.yaml").read_text()
    path = tmp_path / "model.yaml"
    path.write_text(text[: text.index("data:")] + text[text.index("trainer:") :])
    return f"--config={path}"
