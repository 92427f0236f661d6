import errno
import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules import ShardsDataModule
from datamodules.pack import main
from datamodules.samples.image_listing import find_images
from datamodules.shard_files.packing import Plan, pack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, jpeg):
    """Three classes of five images each, with noise in them, so that none is like another."""
    noise = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog", "fox")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = noise.integers(60 * label, 60 * label + 50, (40, 48))
            (tmp_path / "images" / name / f"{number}.JPEG").write_bytes(jpeg(pixels))
    return tmp_path / "images"


def run(folder, *options):
    """Pack in this process's children; return the exit code and the output folder."""
    output = folder.parent / "shards"
    arguments = ["--images", str(folder), "--output", str(output), "--max-size", "20K"]
    return main([*arguments, "--workers", "2", *options]), output


def contents(output):
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def samples(output):
    """Key to members, over all shards; and the number of samples in each shard."""
    found = {}
    lengths = []
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(path) as shard:
            names = shard.getnames()
            for name in names:
                key, _, extension = name.partition(".")
                found.setdefault(key, {})[extension] = shard.extractfile(name).read()
        lengths.append(len({name.partition(".")[0] for name in names}))
    return found, lengths


def test_every_image_is_in_one_shard_untouched_with_the_class_of_its_folder(folder):
    code, output = run(folder)
    assert code == 0
    found, lengths = samples(output)
    assert len(found) == 15
    assert len(lengths) > 2
    for label, name in enumerate(("cat", "dog", "fox")):
        for number in range(5):
            members = found[f"{name}_{number}"]
            assert members["jpg"] == (folder / name / f"{number}.JPEG").read_bytes()
            assert members["cls"] == str(label).encode()
    assert all(path.stat().st_size <= 20 * 1024 for path in output.glob("*.tar"))
    info = json.loads((output / "_info.json").read_text())
    assert info["splits"]["images"] == {
        "name": "images",
        "num_samples": 15,
        "filenames": [path.name for path in sorted(output.glob("*.tar"))],
        "shard_lengths": lengths,
        "classes": ["cat", "dog", "fox"],
    }


def test_shards_are_the_same_whatever_the_workers_and_mix_the_classes(folder):
    _, output = run(folder)
    whole = contents(output)
    for path in output.iterdir():
        path.unlink()
    run(folder, "--workers", "1")
    assert contents(output) == whole
    found, _ = samples(output)
    labels = [members["cls"] for members in found.values()]
    assert labels != sorted(labels)


def test_another_seed_another_order_and_in_order_if_asked(folder):
    orders = []
    for options in (["--seed", "0"], ["--seed", "1"], ["--in-order"]):
        _, output = run(folder, *options)
        orders.append(list(samples(output)[0]))
        for path in output.iterdir():
            path.unlink()
    assert orders[0] != orders[1]
    assert orders[2] == sorted(orders[0]) == sorted(orders[1])


# webdataset leaves tar files to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
def test_what_is_packed_can_be_trained_on_and_timm_reads_it(folder):
    from timm.data import create_dataset

    _, output = run(folder)
    shards = str(output / "images-*.tar")
    data = ShardsDataModule(shards, shards, shards, size=32, resize=36, num_workers=0, batch_size=5)
    data.setup("fit")
    labels = [int(label) for batch in data.val_dataloader() for label in batch["label"]]
    assert sorted(labels) == [0] * 5 + [1] * 5 + [2] * 5
    read = create_dataset("wds/x", root=str(output), split="images", is_training=False)
    assert sorted(label for _, label in read) == sorted(labels)
    del read
    gc.collect()


def test_flat_folders_and_lists_have_no_classes_or_those_of_the_list(folder, tmp_path):
    assert main(["--images", str(folder / "cat"), "--output", str(tmp_path / "flat")]) == 0
    found, _ = samples(tmp_path / "flat")
    assert sorted(found) == ["0", "1", "2", "3", "4"]
    assert all(members.keys() == {"jpg"} for members in found.values())
    (folder / "list.txt").write_text("fox/1.JPEG 7\ncat/2.JPEG\t9\n")
    assert main(["--images", str(folder / "list.txt"), "--output", str(tmp_path / "list")]) == 0
    found, _ = samples(tmp_path / "list")
    assert {key: members["cls"] for key, members in found.items()} == {
        "fox_1": b"7",
        "cat_2": b"9",
    }
    assert found["cat_2"]["jpg"] == (folder / "cat/2.JPEG").read_bytes()


def test_masks_beside_images_come_along(folder, png):
    mask = np.zeros((40, 48), np.uint8)
    for path in folder.glob("*/*.JPEG"):
        path.with_name(f"{path.stem}.mask.png").write_bytes(png(mask))
    _, output = run(folder)
    found, _ = samples(output)
    assert len(found) == 15
    assert all(members["mask.png"] == png(mask) for members in found.values())


def test_names_that_would_be_the_same_key_are_told_apart(folder, tmp_path):
    (folder / "cat_1").mkdir()
    (folder / "cat_1" / "2.png").write_bytes((folder / "cat/0.JPEG").read_bytes())
    (folder / "cat" / "1.2.JPEG").write_bytes((folder / "cat/0.JPEG").read_bytes())
    (folder / "cat" / "1_2.jpg").write_bytes((folder / "cat/0.JPEG").read_bytes())
    _, output = run(folder)
    found, _ = samples(output)
    assert len(found) == 18
    assert {"cat_1_2", "cat_1_2-2", "cat_1_2-3"} <= found.keys()


def test_a_second_run_writes_nothing_and_a_changed_shard_is_refused(folder, capsys):
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


def test_shards_of_another_run_are_not_mixed_in(folder, capsys):
    run(folder)
    assert run(folder, "--max-size", "1M")[0] == 2
    assert "is of another run with this --split" in capsys.readouterr().err


def test_splits_share_a_folder_and_have_to_have_the_same_classes(folder, tmp_path, capsys):
    _, output = run(folder, "--split", "train")
    assert run(folder, "--split", "val")[0] == 0
    info = json.loads((output / "_info.json").read_text())
    assert info["splits"].keys() == {"train", "val"}
    (folder / "fox").rename(folder / "gnu")
    assert run(folder, "--split", "test")[0] == 2
    assert "other folders of classes ('fox' is in one only)" in capsys.readouterr().err


def test_unreadable_images_are_left_out_and_named(folder, capsys):
    (folder / "cat/0.JPEG").write_bytes(b"")
    (folder / "dog/3.JPEG").write_bytes((folder / "dog/3.JPEG").read_bytes()[:300])
    for _ in range(2):  # the second time the shards are there
        code, output = run(folder)
        printed = capsys.readouterr()
        assert code == 2
        assert printed.err == "error: left out 2 that cannot be read\n"
        assert "sample '0.JPEG' is empty" in printed.out
        assert "sample '3.JPEG' cannot be decoded" in printed.out
        assert len(samples(output)[0]) == 13
        assert (
            json.loads((output / "_info.json").read_text())["splits"]["images"]["num_samples"] == 13
        )


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


def test_a_full_disk_is_one_line(folder, monkeypatch, capsys):
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


def test_a_killed_worker_ends_the_run(folder, monkeypatch, capsys):
    monkeypatch.setattr("datamodules.pack.pack", _killed)
    assert run(folder)[0] == 2
    assert "a process was killed, for want of memory" in capsys.readouterr().err


def _full(plan):
    raise OSError(errno.ENOSPC, "No space left on device")


def _killed(plan):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_shards(folder):
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


def test_two_runs_do_not_write_to_the_same_folder(folder, monkeypatch, capsys):
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


def test_an_unreadable_info_is_named(folder, capsys):
    (folder.parent / "shards").mkdir()
    (folder.parent / "shards/_info.json").write_text("[]")
    assert run(folder)[0] == 2
    assert "_info.json has no splits to add to" in capsys.readouterr().err


def test_the_audit_of_sound_shards_counts_and_ends_well(folder, capsys):
    _, output = run(folder)
    capsys.readouterr()
    assert main(["--check", str(output), "--workers", "2"]) == 0
    assert capsys.readouterr().out.startswith("samples: 15, 15 with a class; shards: ")
