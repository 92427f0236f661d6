"""Two processes on the CPU report what one does."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from explainers.trivial import ROWS

ROOT = Path(__file__).parents[1]


def report_of(folder, *arguments):
    """Run a test of an untrained explainer; return its table and its records by key and row."""
    result = subprocess.run(
        [
            sys.executable,
            ROOT / "train.py",
            "test",
            f"--config={ROOT / 'configs/smoke.yaml'}",
            "--trainer.logger=false",
            f"--trainer.default_root_dir={folder}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    table = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    with (folder / "records.csv").open() as file:
        records = {(record["key"], record["explainer"]): record for record in csv.DictReader(file)}
    return table, records


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 21], ids=["one image", "21 images"])
def test_two_processes_report_every_image_once_and_the_same_figures(tmp_path, length):
    data = f"--data.init_args.length={length}"
    table, records = report_of(tmp_path / "one", data)
    two = ["--trainer.strategy=ddp_fork", "--trainer.devices=2"]
    table_of_two, records_of_two = report_of(tmp_path / "two", data, *two)
    assert len(records) == (1 + len(ROWS)) * length
    assert table_of_two == table
    assert records_of_two.keys() == records.keys()
    for key, record in records.items():
        for name, value in record.items():
            if name not in ("key", "explainer"):
                assert float(records_of_two[key][name]) == pytest.approx(float(value), rel=1e-4)
