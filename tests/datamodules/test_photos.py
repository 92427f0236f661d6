from importlib.util import find_spec

import pytest
import torch

from datamodules import PhotosDataModule
from datamodules.errors import DataError
from datamodules.photos import TRAINING_PHOTOGRAPHS

pytestmark = pytest.mark.skipif(
    find_spec("foolbox") is None or find_spec("skimage") is None,
    reason="needs the packages of the extra demo",
)


@pytest.fixture
def data():
    module = PhotosDataModule(size=64, batch_size=4, num_workers=0, samples_per_epoch=24)
    module.setup("fit")
    return module


def test_training_crops_keep_the_contract_and_show_every_photograph(data):
    keys = []
    for batch in data.train_dataloader():
        assert batch["image"].shape == (4, 3, 64, 64)
        assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
        keys += [key.rpartition("-")[0] for key in batch["key"]]
    names = [name.partition(".")[0] for name in TRAINING_PHOTOGRAPHS]
    assert sorted(keys) == sorted(names * 2)


def test_item_of_the_stream_is_always_the_same_crop(data):
    again = PhotosDataModule(size=64, num_workers=0)
    again.setup("fit")
    torch.manual_seed(5)
    assert torch.equal(data.train_set[100]["image"], again.train_set[100]["image"])
    assert not torch.equal(data.train_set[100]["image"], data.train_set[112]["image"])


def test_reading_a_crop_leaves_the_random_state_alone(data):
    before = torch.get_rng_state()
    data.train_set[3]
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seed_other_crops():
    first, second = (PhotosDataModule(size=64, seed=seed) for seed in (0, 1))
    first.setup("fit")
    second.setup("fit")
    assert not torch.equal(first.train_set[0]["image"], second.train_set[0]["image"])


def test_twenty_imagenet_photographs_carry_their_labels(data):
    batches = list(data.test_dataloader())
    labels = torch.cat([batch["label"] for batch in batches])
    assert len(labels) == 20
    assert labels[:3].tolist() == [243, 559, 438]
    assert batches[0]["key"][0] == "imagenet_00_243"


def test_crops_come_again_where_so_many_are_asked_for():
    data = PhotosDataModule(size=64, crops=2)
    data.setup("fit")
    count = len(data.training_files)
    first, later = data.train_set[3]["image"], data.train_set[3 + 2 * count]["image"]
    assert torch.equal(first, later)
    assert not torch.equal(first, data.train_set[3 + count]["image"])
    with pytest.raises(DataError, match="crops must be"):
        PhotosDataModule(crops=0)


def test_impossible_crop_is_refused():
    with pytest.raises(ValueError, match=r"crop_fraction must be in \(0, 1\], got 0"):
        PhotosDataModule(crop_fraction=0)
