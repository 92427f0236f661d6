import json
from pathlib import Path

import pytest
import torch

from datamodules import ShardsDataModule
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.index import find_shards
from datamodules.shards import Shards

SHARED = Path(__file__).parents[2] / "../shared/data"
LENGTHS = [3, 5, 2, 4]
COUNT = sum(LENGTHS)


@pytest.fixture
def folder(tmp_path, jpeg, write_tar):
    """Four shards of 3, 5, 2 and 4 grey images: sample i is of label i and of value 15 i."""
    sample = 0
    for number, length in enumerate(LENGTHS):
        members = []
        for _ in range(length):
            members.append((f"s{sample:02d}.jpg", jpeg(15 * sample)))
            members.append((f"s{sample:02d}.cls", str(sample).encode()))
            members.append((f"s{sample:02d}.json", b"{}"))
            sample += 1
        write_tar(tmp_path / f"part-{number:04d}.tar", members)
    names = [f"part-{number:04d}.tar" for number in range(4)]
    info = {"num_samples": COUNT, "filenames": names, "shard_lengths": LENGTHS}
    (tmp_path / "_info.json").write_text(json.dumps({"splits": {"train": info}}))
    return tmp_path


def test_batch_keeps_the_contract_and_sample_and_label_stay_together(folder, module):
    for batch in module(folder).train_dataloader():
        assert batch["image"].shape == (4, 3, 32, 32)
        assert batch["image"].dtype == torch.float32
        assert batch["label"].dtype == torch.int64
        assert batch["key"] == [f"s{label:02d}" for label in batch["label"]]
        values = batch["image"].mean(dim=(1, 2, 3))
        torch.testing.assert_close(values, 15 * batch["label"] / 255, rtol=0, atol=0.01)


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 2), (3, 2), (20, 0)])
def test_evaluation_gives_every_sample_once_to_any_number_of_ranks(
    folder, world, workers, monkeypatch, module, labels_of
):
    seen = []
    for rank in range(world):
        monkeypatch.setattr("datamodules.base._process", lambda rank=rank: (rank, world))
        seen += labels_of(module(folder, num_workers=workers).val_dataloader())
    assert sorted(seen) == list(range(COUNT))


def test_each_run_of_the_stream_shows_each_sample_once_in_another_order(folder, module):
    stream = module(folder).train_set
    runs = [[int(stream[run * COUNT + item]["label"]) for item in range(COUNT)] for run in range(3)]
    assert all(sorted(run) == list(range(COUNT)) for run in runs)
    assert runs[0] != runs[1] != runs[2]
    assert runs[0] != list(range(COUNT))


def test_same_seed_same_crops_whatever_the_random_state_other_seed_others(folder, module):
    first, second, other = (module(folder, seed=seed).train_set for seed in (0, 0, 1))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(first[17]["image"], second[17]["image"])
    assert torch.equal(torch.get_rng_state(), before)
    assert [first[i]["key"] for i in range(14)] != [other[i]["key"] for i in range(14)]


def test_training_resumes_in_mid_epoch_with_workers(folder, module):
    whole = [batch["key"] for batch in module(folder).train_dataloader()]
    first = module(folder, num_workers=2)
    read = iter(first.train_dataloader())
    assert next(read)["key"] == whole[0]
    second = module(folder)
    second.load_state_dict(first.state_dict())
    assert [batch["key"] for batch in second.train_dataloader()] == whole[1:]


def test_an_epoch_is_each_sample_once_unless_told_otherwise(folder, module):
    assert module(folder).samples_per_epoch == COUNT
    assert len(module(folder, samples_per_epoch=40).train_dataloader()) == 10


def test_lengths_are_counted_where_nobody_tells(folder):
    (folder / "_info.json").unlink()
    shards = Shards(str(folder / "part-{0000..0003}.tar"), evaluation_transform(32, 1.0))
    assert shards.lengths == tuple(LENGTHS)


def test_evaluation_shows_the_central_crop(folder):
    shards = Shards(str(folder / "part-0001.tar"), evaluation_transform(32, 0.8, "bilinear"))
    expected = torch.full((3, 32, 32), 15 * 4 / 255)
    torch.testing.assert_close(shards[1]["image"], expected, rtol=0, atol=0.01)


def test_patterns_are_paths_globs_and_lists_in_braces(folder):
    names = [f"part-{number:04d}.tar" for number in range(4)]
    for pattern in (
        str(folder / "part-{0000..0003}.tar"),
        str(folder / "part-*.tar"),
        [str(folder / "part-{0000,0001}.tar"), str(folder / "part-000[23].tar")],
    ):
        assert [path.name for path in find_shards(pattern)] == names


@pytest.mark.parametrize("pattern", ["part-0009.tar", "part-{0003..0004}.tar", "none-*.tar"])
def test_a_missing_shard_is_named(folder, pattern):
    with pytest.raises(FileNotFoundError, match=r"no shard at .*(0009|0004|none)"):
        find_shards(str(folder / pattern))


def test_a_shard_that_is_none_is_named(folder, module):
    (folder / "part-0001.tar").write_bytes(b"x" * 2000)
    with pytest.raises(ValueError, match=r"part-0001\.tar is not a readable tar file"):
        _ = module(folder).val_set[3]


def test_a_shard_of_another_length_than_recorded_is_named(folder, jpeg, write_tar, module):
    write_tar(folder / "part-0002.tar", [("s08.jpg", jpeg(0))])
    with pytest.raises(ValueError, match=r"part-0002\.tar holds 1 samples.*says 2"):
        _ = module(folder).val_set[8]


def test_a_sample_without_an_image_is_named(tmp_path, write_tar):
    write_tar(tmp_path / "m.tar", [("a.txt", b""), ("a.json", b"{}")])
    shards = Shards(str(tmp_path / "m.tar"), evaluation_transform(32, 1.0))
    with pytest.raises(ValueError, match="sample 'a' has no jpg or other image, only txt, json"):
        _ = shards[0]


@pytest.mark.parametrize("content", ["{", "[]", '{"splits": {"train": {}}}'])
def test_a_damaged_info_is_named(folder, content, module):
    (folder / "_info.json").write_text(content)
    with pytest.raises(ValueError, match=r"_info\.json does not give filenames and shard_lengths"):
        module(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"together": 0}, "together must be at least 1, got 0"),
        ({"crops": 0}, "crops must be at least 1, got 0"),
        ({"resize": 16}, "resize must be at least the size of the crop, 32, got 16"),
        ({"crop_fraction": 1.5}, r"crop_fraction must be in \(0, 1\], got 1.5"),
    ],
)
def test_impossible_settings_are_refused(folder, options, message, module):
    with pytest.raises(ValueError, match=message):
        module(folder, **options)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data beside the checkout")
def test_photographs_without_labels_and_objects_with_masks_are_read():
    data = ShardsDataModule(
        str(SHARED / "photos-train-*.tar"),
        str(SHARED / "objects-{000000..000002}.tar"),
        str(SHARED / "objects-*.tar"),
        crop_fraction=1.0,
        batch_size=3,
        num_workers=0,
    )
    data.setup("fit")
    assert (len(data.training_shards), len(data.val_set)) == (801, 240)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (3, 3, 224, 224)
    assert set(batch) == {"image", "key"}
    batch = next(iter(data.val_dataloader()))
    assert batch["mask"].shape == (3, 1, 224, 224)
    assert 0.01 < batch["mask"].float().mean() < 0.6


def test_training_crops_are_of_the_scale_that_is_asked_for(folder, module):
    data = module(folder, scale=[0.5, 0.6])
    data.setup("fit")
    crop = data.training_shards.transform.transforms[0]
    assert tuple(crop.scale) == (0.5, 0.6)


def test_shards_of_timm_s_imagenet_are_read_as_they_are(tmp_path, write_tar, jpeg):
    for number in range(2):
        members = []
        for sample in range(2 * number, 2 * number + 2):
            name = f"n0144_{sample}"
            members += [
                (f"{name}.cls", b"%d" % sample),
                (f"{name}.jpg", jpeg(10 * sample)),
                (f"{name}.json", json.dumps({"filename": f"{name}.JPEG"}).encode()),
            ]
        write_tar(tmp_path / f"imagenet1k-train-{number:04d}.tar", members)
    names = ["imagenet1k-train-0000.tar", "imagenet1k-train-0001.tar"]
    train = {"name": "train", "num_samples": 4, "filenames": names, "shard_lengths": [2, 2]}
    (tmp_path / "_info.json").write_text(json.dumps({"splits": {"train": train}}))
    shards = Shards(
        str(tmp_path / "imagenet1k-train-{0000..0001}.tar"), evaluation_transform(32, 1.0)
    )
    assert [int(shards[index]["label"]) for index in range(4)] == [0, 1, 2, 3]
    assert shards.labels == [0, 1, 2, 3]
