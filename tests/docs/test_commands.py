"""Each command of the README and of docs/ runs as it is printed, on tiny networks and few images.

It is run in a folder that looks like a checkout.
"""

import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

import train
from datamodules import pack
from explainers import cli
from tests.docs.pages import PAGES, ROOT, blocks_of, prose_of

COMMAND = re.compile(
    r"(explainers \w+|python train\.py \w+|python -m datamodules\.pack|"
    r"python (?:benchmarks|docs/figures)/\w+\.py)( .*)?"
)
COMPLETE = re.compile(r"explainers (list|serve)|python (benchmarks|docs/figures)/\w+\.py")
"""Commands that need no option; other words like these only name a command."""

STAND_INS = {
    ("--config", "…"): "configs/demo.yaml",
    ("--config", "X"): "configs/demo.yaml",
    ("--ckpt_path", "…"): "PATH",
    ("--checkpoint", "FOLDER"): "BUNDLE",
    ("--gallery", "FOLDER"): "photos",
}
"""Values for the placeholders of printed commands, by the option and the placeholder."""

LESS = {
    "serving": "--rounds 1 --visitors 1 --large 1",
    "cdam": "--depths 2 --repeats 1",
    "cdam_pairs": "--steps 2 --depth 2 --images 4",
    "decisive_objects": "--panel_images 1",
    "data": "--rounds 1 --samples 32 --small 2000",
    "fam": "--model test_resnet --repeats 1",
    "gallery": "--count 1 --methods PTAMEPlus --output gallery.jpg",
    "growth": "--classifier test_resnet --auxiliary test_resnet --steps 1",
    "inference": "--classifier resnet18 --auxiliary resnet18 --batch 1 --repeats 1",
    "league": "--families shapley --others --steps 2 --seeds 1 --held-out 4 --exact-shapley 1 "
    "--judge-steps 2 --classifier-images 64",
    "metrics": "--images 1 --repeats 1",
    "opticam": "--model test_resnet --batch 2 --steps 1 --repetitions 1",
    "opticam_area": "--steps 1 --images 1 --metrics average_gain",
    "passes": "--model test_resnet --batch 1 --repeats 1",
    "precision": "--images 1",
    "rcut": "--channels 2 --repeats 1",
    "shapley": "--images 1 --many 60 --few 40",
    "training_flops": "--configs ptame_vgg16_imagenet opticam_vit_base_imagenet",
    "training": "--classifier resnet18 --auxiliary test_resnet --batch 2 --steps 1",
}
"""Options with which benchmarks, whose networks no config names, are short."""


def command_of(line):
    """A line without what installs a package before it, and without its comment."""
    return re.sub(r"^pip install .* && |\s+#.*$", "", line)


def commands():
    """Every command, once, and the page where it stands first."""
    found = {}
    for path in PAGES:
        lines = [line for block in blocks_of(path) for line in block.text.splitlines()]
        # Prose names commands too.
        lines += [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose_of(path))]
        for command in map(command_of, lines):
            whole = " --" in command or COMPLETE.fullmatch(command)
            if COMMAND.fullmatch(command) and whole:
                found.setdefault(command, path.stem)
    return found


def words_of(command):
    """The words of a command, all that is optional among them, and what stands for something."""
    words = shlex.split(re.sub(r"\[(--.*?)\]", r"\1", command))
    for index in range(1, len(words)):
        words[index] = STAND_INS.get((words[index - 1], words[index]), words[index])
    if words[:2] == ["explainers", "compare"]:  # of which prose may leave something out
        words += [] if "--config" in words else ["--config", "configs/compare_photos.yaml"]
        words += [] if "--output" in words else ["--output", "OUT"]
    if words[:2] == ["explainers", "judge"]:
        words += ["--steps", "2"]
    return words


def serve_and_end(words, monkeypatch):
    """Put the page on a free port, and end there, where a visitor would come."""
    from explainers.app import server

    monkeypatch.setattr(server, "_run", lambda app, sockets: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # so that it is put back
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = signal.getsignal(signal.SIGTERM)
    assert cli.main([*words, "--port", str(port)]) == 0
    assert signal.getsignal(signal.SIGTERM) is ended


def run_script(words):
    """Run a script with its options, as the interpreter does."""
    os.environ["PYTHONPATH"] = str(ROOT)  # of the interpreters that it starts
    if Path(words[0]).stem in ("inference", "training"):
        # One tells the peak memory of its processes, which begin with that of their parent; the
        # other has several threads and ONNX Runtime, which a fork of a process that has had them
        # may wait for without end.
        os.execv(sys.executable, [sys.executable, *words])
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent.resolve()))
    runpy.run_path(words[0], run_name="__main__")


def params():
    """The commands, as they are run; those that train, score or serve are slow."""
    for command, name in commands().items():
        fast = command.startswith(("explainers explain", "explainers list", "python -m"))
        marks = [] if fast else [pytest.mark.slow]
        if command.startswith(("python benchmarks", "python docs")):
            marks.append(pytest.mark.benchmarks)
        yield pytest.param(command, id=f"{name}: {command}", marks=marks)


@pytest.mark.filterwarnings("default")  # Lightning, gradio and torch's exporters have some
@pytest.mark.parametrize("command", list(params()))
def test_command_runs(command, checkout, start_process, monkeypatch, request):
    program, *words = words_of(command)
    if "PATH" in words:
        shutil.copy(request.getfixturevalue("checkpoint"), "PATH")
    if program == "explainers" and words[0] == "serve":
        pytest.importorskip("gradio")
        serve_and_end(words, monkeypatch)
    elif program == "explainers":
        if "onnx" in words:
            pytest.importorskip("onnxruntime")
        assert cli.main(words) == 0
    elif words[0] == "train.py":
        monkeypatch.setattr("sys.argv", words)
        if ".help" in command:
            with pytest.raises(SystemExit, match="0"):
                train.main(words[1:])
        else:
            train.main(words[1:])
    elif words[0] == "-m":
        assert pack.main(words[2:]) == 0
    else:
        for package in ("foolbox", "pytorch_grad_cam", "captum", "onnxruntime"):
            pytest.importorskip(package)
        if words[0].endswith("passes.py") and shutil.which("c++") is None:
            pytest.skip("torch.compile needs a C++ compiler")
        shutil.copytree(ROOT / "checkpoints", "checkpoints", dirs_exist_ok=True)
        less = LESS.get(Path(words[0]).stem)
        assert less, "say in LESS with which options it is short"
        words += shlex.split(less)
        done = start_process(lambda: run_script(words)).result(seconds=600)
        assert done.returncode == 0, done.stderr


def test_options_are_for_benchmarks_that_a_page_names():
    assert {Path(command.split()[1]).stem for command in commands()} >= LESS.keys()
