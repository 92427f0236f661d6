"""Freed memory stays with the process that asks for that."""

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
