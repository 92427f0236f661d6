"""The web page's server in a process of its own, its visitors, and files that they open."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
START = 240  # seconds that a busy machine may take to start
LOOK = [0.85, "inferno", "signed", False]


@pytest.fixture(scope="session")
def photograph():
    """Write an image of smooth noise, and return its path."""

    def write(path, seed, size):
        noise = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
        return path

    return write


@pytest.fixture(scope="module")
def files(tmp_path_factory, photograph):
    folder = tmp_path_factory.mktemp("files")
    (folder / "letter.jpg").write_text("this is no photograph")
    for seed, (name, size) in enumerate({"a.png": (90, 60), "b.png": (50, 70)}.items()):
        photograph(folder / name, seed, size)
    return folder


class Server:
    """`explainers serve` of a tiny classifier with random weights, whose files live for 30 s."""

    def __init__(self, folder, setup=""):
        config = folder / "tiny.yaml"
        config.write_text(
            "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 3\n    lr: 1.0\n"
            "    classifier: {model: test_resnet, pretrained: false, num_classes: 6}\n"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        code = (
            "import functools, sys, torch; torch.manual_seed(0); torch.set_num_threads(1)\n"
            "from explainers.app import server\nfrom explainers.cli import main\n"
            "from explainers.commands import serve\n"
            f"serve.serve_page = functools.partial(server.serve_page, files_live=30)\n{setup}\n"
            f"sys.exit(main(['serve', '--config', {str(config)!r}, '--port', '{self.port}']))"
        )
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,  # not above the installed packages, which the examples lie in
            env=os.environ
            | {"TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}
            | {"MALLOC_ARENA_MAX": "2"},  # memory must not depend on how many threads were busy
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait(self):
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            if self.url in self.output():
                return self
            time.sleep(0.3)
        raise RuntimeError(f"the server did not start: {self.output()}")

    def stop(self, number):
        """End by a signal; the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.log.close()

    def output(self):
        return Path(self.log.name).read_text()

    def memory(self):
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def kept(self):
        """Files of the server. os.walk, which passes over folders that go meanwhile."""
        walk = os.walk(self.temporary)
        return [Path(folder, name) for folder, _, names in walk for name in names]


@pytest.fixture(scope="session")
def new_server():
    """Start a server in a folder, after some code of `setup`; to wait for and to stop."""
    return Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("served"))
    try:
        yield server.wait()
    finally:
        server.stop(signal.SIGTERM)


@pytest.fixture
def connect(server, tmp_path, monkeypatch):
    from gradio_client import Client, handle_file

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # a folder a download is left there

    class Visitor:
        def __init__(self):
            self.client = Client(server.url, verbose=False, download_files=str(tmp_path))

        def open(self, path):
            return self.seen(handle_file(str(path)), ["tiny"], *LOOK, api_name="/open")

        def ask(self, label):
            return self.seen(label, ["tiny"], *LOOK, api_name="/ask_other")

        def seen(self, *arguments, api_name):
            *_, npz = self.client.predict(*arguments, api_name=api_name)
            return arrays(npz["value"])

    return Visitor


def arrays(file):
    with np.load(file) as arrays:
        return dict(arrays)
