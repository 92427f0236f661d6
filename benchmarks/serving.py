"""Memory of the web page's server: `python benchmarks/serving.py`.

Visitors open a photograph of 2 million pixels and ask for another class, in rounds; then large
photographs are opened. The classifier is tiny, so that the figures are those of the page.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """model:
  class_path: explainers.OptiCAM
  init_args:
    steps: 3
    classifier: {model: test_resnet, pretrained: false, num_classes: 6}
"""
STYLE = (0.85, "inferno", "signed", False)


def photograph(path: Path, width: int, height: int) -> Path:
    """Write a smooth picture."""
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height)).save(path)
    return path


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start `explainers serve`, and wait for its address."""
    (folder / "tiny.yaml").write_text(CONFIG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "explainers.cli", "serve", "--port", str(port)]
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--config", str(folder / "tiny.yaml")], stdout=file, stderr=file
        )
    while " at http" not in log.read_text():
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.2)
    return process, f"http://127.0.0.1:{port}"


def resident(process: subprocess.Popen[bytes]) -> int:
    """Resident memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def visit(url: str, path: Path, classes: int) -> None:
    """Open a photograph as a visitor of one's own, and ask for other classes."""
    client_module = import_module("gradio_client")
    client = client_module.Client(url, verbose=False, download_files=False)
    client.predict(client_module.handle_file(str(path)), ["tiny"], *STYLE, api_name="/open")
    for label in range(classes):
        client.predict(label, ["tiny"], *STYLE, api_name="/ask_other")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="memory of the web page's server")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--visitors", type=int, default=20, help="in each round")
    parser.add_argument("--large", type=int, default=4, help="photographs of 50 million pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = photograph(Path(folder) / "small.jpg", 1600, 1200)
        large = photograph(Path(folder) / "large.jpg", 8160, 6120)
        process, url = start(Path(folder))
        try:
            steps = {"start": resident(process)}
            for number in range(options.rounds):
                for _ in range(options.visitors):
                    visit(url, small, 1)
                steps[f"round {number + 1}"] = resident(process)
                print(steps, flush=True)
            for number in range(options.large):
                visit(url, large, 0)
                steps[f"large {number + 1}"] = resident(process)
        finally:
            process.terminate()
            process.wait(30)
    result = vars(options) | {"resident_mb": steps}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
