"""When one of the processes of a fit is stopped or dies, all end, and one line says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system watches no processes"),
]


@pytest.fixture
def running(tmp_path):
    """Start a long fit on two processes; give it, its children and its folder when it trains."""
    started = []

    def start(strategy):
        with (tmp_path / "printed").open("w") as printed:
            process = subprocess.Popen(
                [
                    sys.executable,
                    ROOT / "train.py",
                    "fit",
                    f"--config={ROOT / 'configs/smoke.yaml'}",
                    f"--trainer.strategy={strategy}",
                    "--trainer.devices=2",
                    "--trainer.max_epochs=100000",
                    f"--trainer.default_root_dir={tmp_path}",
                    "--trainer.logger=false",
                    "--trainer.enable_progress_bar=false",
                ],
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("checkpoints/*.ckpt")) and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "printed").read_text()
            time.sleep(0.2)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        started.extend([process.pid, *map(int, children)])
        return process, list(map(int, children))

    yield start
    for number in started:
        if is_running(number):
            os.kill(number, signal.SIGKILL)


def is_running(number):
    """Whether a process is there, and has not ended without having been waited for."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ended(process, children, folder):
    """Exit code and text of a run of which all processes have to end."""
    code = process.wait(timeout=60)
    deadline = time.monotonic() + 30
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, children))
    return code, (folder / "printed").read_text()


@pytest.mark.parametrize(("strategy", "code"), [("ddp", 1), ("ddp_fork", 137)])
def test_all_end_when_one_is_killed(running, strategy, code, tmp_path):
    process, children = running(strategy)
    os.kill(children[-1], signal.SIGKILL)
    found, printed = ended(process, children, tmp_path)
    assert found == code
    assert "Traceback" not in printed
    (line,) = (line for line in printed.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: process 1 (pid {children[-1]})")
    assert "go on with --ckpt_path" in line


def test_the_others_end_when_the_first_is_killed(running, tmp_path):
    process, children = running("ddp")
    process.kill()
    found, printed = ended(process, children, tmp_path)
    assert found == -signal.SIGKILL
    assert "Traceback" not in printed
    assert f"error: process 0 (pid {process.pid}) has died" in printed


@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork"])
def test_all_save_and_end_when_one_is_terminated(running, strategy, tmp_path):
    process, children = running(strategy)
    os.kill(children[-1], signal.SIGTERM)
    code, printed = ended(process, children, tmp_path)
    assert code == 128 + signal.SIGTERM
    assert "Traceback" not in printed
    assert (tmp_path / "checkpoints/interrupted.ckpt").is_file()
    assert "interrupted; go on with --ckpt_path" in printed
