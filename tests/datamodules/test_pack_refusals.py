"""Packing refuses bad input in one line, and leaves nothing under a final name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError, system_errors_named
from datamodules.pack import main
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.info import INFO
from datamodules.shard_files.writing import ShardWriter
from datamodules.shards import Shards

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name",
    [
        *("../../evil", "a/b", "..", ".", "", "/tmp/evil", "a\\b", "a*", "[a]", "{a}", "pipe:a"),
        *("_info", "a\0b", "a\n", "x" * 101, " a", ".hidden"),
    ],
)
def test_a_split_is_a_plain_name(name, photos, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    output = tmp_path / "one/two"
    assert main(["--images", str(photos), "--output", str(output), "--split", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the name of the split, ")
    with pytest.raises(DataError, match="the name of the split"):
        ShardWriter(output, name, 10_000, {})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["train", "imagenet1k-train", "grün", "my photos (1)", "v1.0_a"])
def test_names_of_folders_are_plain_names(name, photos, tmp_path):
    arguments = ["--images", str(photos), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main([*arguments, "--split", name]) == 0
    assert len(Shards(f"{tmp_path}/out/{name}-*.tar", evaluation_transform(32, 1.0))) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "photos/0.jpg", "--output", "out"], "0.jpg is an image; name its folder"),
        (["--images", "", "--output", "out"], "argument --images: it must be the path"),
        (["--images", "photos", "--output", ""], "argument --output: it must be the path"),
        (["--images", "photos", "--output", "file"], "file (File exists); a folder is needed"),
        (["--images", "photos", "--output", "file/x"], "(Not a directory); a part of the path"),
        (["--images", "photos", "--output", "out", "--workers", "-1"], "'-1' is not a number of"),
        (["--images", "photos", "--output", "out", "--max-size", "0"], "'0' is not a size like"),
        (["--images", "photos", "--output", "out", "--seed", "-1"], "seed must be at least 0"),
        (["--images", "broken", "--output", "out"], "sample 'a.jpg' cannot be decoded"),
        (["--check", ""], "shards must be paths, globs or addresses of shards, got ''"),
        (["--check", "{"], "'{' cannot be read as a list of shards"),
    ],
)
def test_pack_refuses_in_one_line_and_leaves_nothing(
    arguments, message, photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("broken").mkdir()
    Path("broken/a.jpg").write_text("no image")
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_writer_that_fails_before_its_first_shard_leaves_nothing(tmp_path):
    def fail():
        with ShardWriter(tmp_path / "one/two", "maps", 10_000, {}) as writer:
            writer.add([("a", {"txt": b"x"})])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_writer_does_not_go_on_from_an_entry_that_is_not_its_own(tmp_path, shard, write_info):
    write_info(shard.parent, {"part": {shard.name: 6}})
    before = (shard.parent / INFO).read_bytes()
    with (
        pytest.raises(DataError, match="does not tell how far it came; choose another --output"),
        ShardWriter(shard.parent, "part", 10_000, {}),
    ):
        pass
    assert (shard.parent / INFO).read_bytes() == before


def test_errors_of_the_system_name_file_reason_and_way_out(tmp_path):
    with (
        pytest.raises(DataError, match=r"cannot use .*/x \(No such file or directory\); name one"),
        system_errors_named(tmp_path),
    ):
        (tmp_path / "x").read_bytes()
    with (
        pytest.raises(DataError, match=rf"cannot use {tmp_path} \(odd\); check the disk"),
        system_errors_named(tmp_path),
    ):
        raise OSError("odd")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--check", "--images"])
def test_ctrl_c_is_one_line_and_exit_code_130(command, tmp_path, jpeg):
    noise = np.random.default_rng(0).integers(0, 255, (600, 600))
    (tmp_path / "images").mkdir()
    for number in range(600):
        (tmp_path / f"images/{number}.jpg").write_bytes(jpeg(noise, (600, 600)))
    pack = ["--images", str(tmp_path / "images"), "--output", str(tmp_path / "out")]
    pack += ["--max-size", "20M", "--workers", "2"]
    if command == "--check":
        assert main(pack) == 0
        pack = ["--check", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "datamodules.pack", *pack],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 2:
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.split("\n", 1)[1] == "stopped; run the same command again to go on\n"
