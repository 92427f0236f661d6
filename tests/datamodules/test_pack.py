import gc
import json
import tarfile

import numpy as np
import pytest

from datamodules import ShardsDataModule
from datamodules.pack import main


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


def test_every_image_is_in_one_shard_untouched_with_the_class_of_its_folder(folder, run):
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
    shards = [f"{output}/*.tar"] * 3
    assert ShardsDataModule(*shards, num_workers=0).classes == ["cat", "dog", "fox"]
    (output / "_info.json").unlink()
    assert ShardsDataModule(*shards, num_workers=0).classes is None


def test_shards_are_the_same_whatever_the_workers_and_mix_the_classes(folder, run):
    _, output = run(folder)
    whole = contents(output)
    for path in output.iterdir():
        path.unlink()
    run(folder, "--workers", "1")
    assert contents(output) == whole
    found, _ = samples(output)
    labels = [members["cls"] for members in found.values()]
    assert labels != sorted(labels)


def test_another_seed_another_order_and_in_order_if_asked(folder, run):
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
def test_what_is_packed_can_be_trained_on_and_timm_reads_it(folder, run):
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


def test_masks_beside_images_come_along(folder, run, png):
    mask = np.zeros((40, 48), np.uint8)
    for path in folder.glob("*/*.JPEG"):
        path.with_name(f"{path.stem}.mask.png").write_bytes(png(mask))
    _, output = run(folder)
    found, _ = samples(output)
    assert len(found) == 15
    assert all(members["mask.png"] == png(mask) for members in found.values())


def test_names_that_would_be_the_same_key_are_told_apart(folder, run, tmp_path):
    (folder / "cat_1").mkdir()
    (folder / "cat_1" / "2.png").write_bytes((folder / "cat/0.JPEG").read_bytes())
    (folder / "cat" / "1.2.JPEG").write_bytes((folder / "cat/0.JPEG").read_bytes())
    (folder / "cat" / "1_2.jpg").write_bytes((folder / "cat/0.JPEG").read_bytes())
    _, output = run(folder)
    found, _ = samples(output)
    assert len(found) == 18
    assert {"cat_1_2", "cat_1_2-2", "cat_1_2-3"} <= found.keys()


def test_unreadable_images_are_left_out_and_named(folder, run, capsys):
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


def test_the_audit_of_sound_shards_counts_and_ends_well(folder, run, capsys):
    _, output = run(folder)
    capsys.readouterr()
    assert main(["--check", str(output), "--workers", "2"]) == 0
    assert capsys.readouterr().out.startswith("samples: 15, 15 with a class; shards: ")
