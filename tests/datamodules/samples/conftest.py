"""Shards in which one sample may be damaged."""

import pytest


def _write_shards(folder, write_tar, jpeg, damaged=None, count=12):
    """Three shards of sample i of label i; `damaged` replaces the members of sample 5."""
    for number in range(3):
        members = []
        for sample in range(number, count, 3):
            good = [
                (f"s{sample:02d}.jpg", jpeg(10 * sample)),
                (f"s{sample:02d}.cls", b"%d" % sample),
            ]
            members += damaged if sample == 5 and damaged is not None else good
        write_tar(folder / f"part-{number}.tar", members)


@pytest.fixture(scope="session")
def write_shards():
    """Write three shards, of which the members of one sample can be replaced."""
    return _write_shards
