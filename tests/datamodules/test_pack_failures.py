import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datamodules.pack import main
from datamodules.samples.image_listing import find_images
from datamodules.shard_files.packing import Plan, pack

ROOT = Path(__file__).parents[2]


def contents(output):
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def test_a_second_run_writes_nothing_and_a_changed_shard_is_refused(folder, run, capsys):
    _, output = run(folder)
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.tar")}
    assert run(folder)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("*.tar")} == before
    first = min(before)
    content = bytearray(first.read_bytes())
    content[1000] ^= 1
    first.write_bytes(content)
    assert run(folder)[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{first} exists and does not hold what this run would write" in line


def test_shards_of_another_run_are_not_mixed_in(folder, run, capsys):
    run(folder)
    assert run(folder, "--max-size", "1M")[0] == 2
    assert "is of another run with this --split" in capsys.readouterr().err


def test_splits_share_a_folder_and_have_to_have_the_same_classes(folder, run, tmp_path, capsys):
    _, output = run(folder, "--split", "train")
    assert run(folder, "--split", "val")[0] == 0
    info = json.loads((output / "_info.json").read_text())
    assert info["splits"].keys() == {"train", "val"}
    (folder / "fox").rename(folder / "gnu")
    assert run(folder, "--split", "test")[0] == 2
    assert "other folders of classes ('fox' is in one only)" in capsys.readouterr().err


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_nothing_under_the_final_name(folder, monkeypatch, call):
    images, _ = find_images(folder)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr("datamodules.shard_files.durable.os.fsync", full)
    else:
        monkeypatch.setattr("tarfile.TarFile.addfile", full)
    with pytest.raises(OSError, match="No space left"):
        pack(Plan(folder / "x-000000.tar", images))
    assert not list(folder.glob("x-*"))


def test_a_full_disk_is_one_line(folder, run, monkeypatch, capsys):
    monkeypatch.setattr("datamodules.pack.pack", _full)
    code, output = run(folder)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"error: cannot use {output} (No space left on device); free some space, or name a place "
        "on another disk"
    )
    assert not output.exists()


def test_what_was_written_is_read_back(folder, monkeypatch):
    monkeypatch.setattr(
        "datamodules.shard_files.packing._digests", lambda file: iter([("a.jpg", b"")])
    )
    with pytest.raises(ValueError, match="reads back other than it was written"):
        pack(Plan(folder / "x-000000.tar", find_images(folder)[0]))
    assert not list(folder.glob("x-*"))


def test_a_killed_worker_ends_the_run(folder, run, monkeypatch, capsys):
    monkeypatch.setattr("datamodules.pack.pack", _killed)
    assert run(folder)[0] == 2
    assert "a process was killed, for want of memory" in capsys.readouterr().err


def _full(plan):
    raise OSError(errno.ENOSPC, "No space left on device")


def _killed(plan):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_shards(folder, run):
    _, output = run(folder)
    whole = contents(output)
    command = [sys.executable, "-m", "datamodules.pack", "--images", folder, "--max-size", "20K"]
    again = folder.parent / "again"
    process = subprocess.Popen([*command, "--output", again, "--workers", "1"], cwd=ROOT)
    while not list(again.glob("images-*.tar")) and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (again / "_info.json").exists() or process.returncode == 0
    code = main(["--images", str(folder), "--max-size", "20K", "--output", str(again)])
    assert code == 0
    assert contents(again) == whole


def test_two_runs_do_not_write_to_the_same_folder(folder, run, monkeypatch, capsys):
    output = folder.parent / "shards"
    output.mkdir()
    monkeypatch.setattr("datamodules.shard_files.process_pool.GRACE", 0.1)
    handle = os.open(output, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert run(folder)[0] == 2
    assert "another process writes shards to" in capsys.readouterr().err
    os.close(handle)
    assert run(folder)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere", "--output", "x"], "no folder or list of images at"),
        (["--images", "empty", "--output", "x"], "no image in"),
        (["--images", "both", "--output", "x"], "holds both images (a.jpg) and folders (cat)"),
        (["--images", "hole", "--output", "x"], "no image in"),
        (["--images", "missing.txt", "--output", "x"], "which is not there"),
        (["--images", "mixed.txt", "--output", "x"], "gives some images a class and"),
        (["--images", "both"], "give --images and --output to write shards, or --check"),
        (["--images", "both", "--output", "x", "--max-size", "5T"], "'5T' is not a size like"),
        (["--images", "both", "--output", "x", "--workers", "0"], "'0' is not a number of proc"),
        (["--check", "nowhere/*.tar"], "no shard at"),
        (["--check", "empty"], "no shard, a file that ends in .tar, in"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "both/cat", "hole/cat", "hole/dog"):
        Path(name).mkdir(parents=True)
    for name in ("both/a.jpg", "hole/dog/a.jpg"):
        Path(name).touch()
    Path("missing.txt").write_text("both/b.jpg 0\n")
    Path("mixed.txt").write_text("both/a.jpg 0\nhole/dog/a.jpg\n")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_an_unreadable_info_is_named(folder, run, capsys):
    (folder.parent / "shards").mkdir()
    (folder.parent / "shards/_info.json").write_text("[]")
    assert run(folder)[0] == 2
    assert "_info.json has no splits to add to" in capsys.readouterr().err
