"""Throughput of training samples from shards: `python benchmarks/data.py`.

Rates, in one run, on shards of random photographs of 500 x 375 pixels that it writes first:

- pipeline: the training loader of `ShardsDataModule` with 2 workers;
- bare: two processes that decode, resize, crop, flip and convert the same JPEG bytes from memory
  and hand nothing over;

each for several rounds, in turns; their ratio is the median over the rounds. Also measured is the
resident memory of the loader's process and workers over 20,000 small samples, after as many that
fill the caches and write to the pages that the workers share with their parent. Prints the
figures, with the machine's load, and writes them to `data.json` beside this file.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from webdataset import TarWriter

from datamodules import ShardsDataModule
from datamodules.samples.transforms import training_transform

WORKERS, BATCH = 2, 16
SHARDS, LENGTH = 4, 64


def photograph(noise: np.random.Generator, height: int, width: int) -> bytes:
    """A JPEG with detail at several scales, about as large as one of ImageNet."""
    pixels = np.zeros((height, width, 3))
    for scale in (4, 16, 64):
        coarse = noise.uniform(0, 255, (height // scale + 1, width // scale + 1, 3))
        image = Image.fromarray(coarse.astype(np.uint8)).resize((width, height))
        pixels += np.asarray(image) / 3
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write(folder: Path, photographs: list[bytes], shards: int) -> str:
    """Shards of the photographs; returns their pattern."""
    for number in range(shards):
        with TarWriter(str(folder / f"p-{number}.tar")) as tar:
            for index in range(number, len(photographs), shards):
                tar.write({"__key__": f"{index:06d}", "jpg": photographs[index], "cls": b"1"})
    return str(folder / "p-*.tar")


def loader_of(pattern: str, size: int, resize: int) -> torch.utils.data.DataLoader:
    """The training loader."""
    data = ShardsDataModule(
        pattern, pattern, pattern, size=size, resize=resize, batch_size=BATCH, num_workers=WORKERS
    )
    data.setup("fit")
    return data.train_dataloader()


def bare(photographs: list[bytes], transform: v2.Transform, samples: int) -> None:
    """Decode, crop and flip, and nothing else."""
    torch.set_num_threads(1)  # as in a loader's worker
    for index in range(samples):
        with Image.open(io.BytesIO(photographs[index % len(photographs)])) as image:
            transform(image.convert("RGB"))


def bare_rate(photographs: list[bytes], transform: v2.Transform, samples: int) -> float:
    """Images a second of as many processes as there are workers."""
    context = multiprocessing.get_context("fork")
    work = (photographs, transform, samples // WORKERS)
    processes = [context.Process(target=bare, args=work) for _ in range(WORKERS)]
    started = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return samples / (time.perf_counter() - started)


def pipeline_rate(batches: object, samples: int) -> float:
    """Images a second of an iterator over batches that is running."""
    started = time.perf_counter()
    for _ in range(samples // BATCH):
        next(batches)
    return samples / (time.perf_counter() - started)


def endless(loader: torch.utils.data.DataLoader) -> object:
    """Epoch after epoch."""
    while True:
        yield from loader


def resident() -> float:
    """MB of this process and its children that are not shared with another."""
    total = 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for process in ["self", *children]:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total / 1024


def memory(folder: Path, small: int) -> list[float]:
    """Resident MB after the first epoch of small samples, and four times in the second."""
    noise = np.random.default_rng(1)
    photographs = [photograph(noise, 48, 64) for _ in range(500)]
    pattern = write(folder, photographs * (small // 500), shards=20)
    batches = endless(loader_of(pattern, size=32, resize=36))
    measured = []
    for samples in (small, *[small // 4] * 4):
        for _ in range(samples // BATCH):
            next(batches)
        measured.append(resident())
    return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time the training loader of shards")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=320, help="in each round")
    parser.add_argument(
        "--small", type=int, default=20_000, help="samples that memory is read over"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    noise = np.random.default_rng(0)
    photographs = [photograph(noise, 375, 500) for _ in range(SHARDS * LENGTH)]
    with tempfile.TemporaryDirectory() as folder:
        pattern = write(Path(folder), photographs, SHARDS)
        batches = endless(loader_of(pattern, size=224, resize=256))
        next(batches)
        rounds = []
        for _ in range(options.rounds):
            # What was prepared ahead while the bare loop ran would come for nothing.
            for _ in range(2 * WORKERS + 1):
                next(batches)
            rates = {"pipeline": pipeline_rate(batches, options.samples)}
            transform = training_transform(224, 256, "bilinear")
            rates["bare"] = bare_rate(photographs, transform, options.samples)
            rounds.append(rates)
        del batches
    with tempfile.TemporaryDirectory() as folder:
        megabytes = memory(Path(folder), options.small)
    result = {
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "cores": os.cpu_count(),
        "workers": WORKERS,
        "kilobytes_a_photograph": round(statistics.mean(map(len, photographs)) / 1024),
        "images_per_second": [{name: round(rate) for name, rate in one.items()} for one in rounds],
        "pipeline_over_bare": round(
            statistics.median(one["pipeline"] / one["bare"] for one in rounds), 3
        ),
        "resident_megabytes": [round(value) for value in megabytes],
    }
    (Path(__file__).parent / "data.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
