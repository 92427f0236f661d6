"""Freed memory stays with the process that asks for that, until it hands it back."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, runpy
keep_freed_memory = runpy.run_path("explainers/classifier/freed_memory.py")["keep_freed_memory"]
if {keep}:
    keep_freed_memory()
faults = []
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = b"x" * (1 << 26)  # 64 MiB
    del block
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
@pytest.mark.parametrize("keep", [False, True])
def test_a_second_block_takes_the_memory_of_the_first(keep):
    code = SCRIPT.format(keep=keep)
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    first, second = map(int, output.split())
    assert first > 0
    assert (second < first / 10) == keep


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to give it back")
def test_kept_memory_is_handed_back_on_request():
    code = """
import runpy
from pathlib import Path
module = runpy.run_path("explainers/classifier/freed_memory.py")
module["keep_freed_memory"]()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
block = b"x" * (1 << 28)  # 256 MiB
above = b"x"  # so that the end of the heap is not all that is free
del block
before = resident()
module["release_freed_memory"]()
print(before - resident())
"""
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert int(output) > 0.9 * (1 << 28)
