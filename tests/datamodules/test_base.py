import pytest
import torch
from torch.utils.data import Dataset

from datamodules import ImageDataModule, ShapesDataModule
from datamodules.base import ResumableLoader, StreamBatches
from datamodules.errors import DataError, UnreadableError


class Numbers(Dataset):
    """Item n is n."""

    def __init__(self, length=None):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, item):
        return {"image": torch.tensor(float(item))}


class NumbersDataModule(ImageDataModule):
    def setup(self, stage):
        self.train_set, self.val_set, self.test_set = Numbers(), Numbers(21), Numbers(21)


@pytest.fixture
def data():
    module = NumbersDataModule(batch_size=4, num_workers=0, samples_per_epoch=10)
    module.setup("fit")
    return module


def numbers(loader):
    return [batch["image"].int().tolist() for batch in loader]


def test_epochs_are_consecutive_parts_of_the_stream(data):
    loader = data.train_dataloader()
    assert len(loader) == 2
    assert numbers(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers(loader) == [[8, 9, 10, 11], [12, 13, 14, 15]]


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_resumes_after_what_was_given_not_after_what_was_prepared(workers):
    def loader():
        return ResumableLoader(Numbers(), batch_sampler=StreamBatches(5, 2), num_workers=workers)

    first = loader()
    read = iter(first)
    given = [next(read)["image"].tolist() for _ in range(3)]
    assert given[-1] == [4, 5]
    second = loader()
    second.load_state_dict(first.state_dict())
    assert numbers(second) == [[6, 7], [8, 9]]
    assert numbers(second)[0] == [10, 11]


def test_ranks_share_each_global_batch():
    ranks = [list(StreamBatches(2, 3, rank, world=2)) for rank in range(2)]
    assert ranks == [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]


@pytest.mark.parametrize("world", [1, 2, 5, 30])
def test_evaluation_gives_every_sample_once_to_any_number_of_ranks(data, monkeypatch, world):
    seen = []
    for rank in range(world):
        monkeypatch.setattr("datamodules.base._process", lambda rank=rank: (rank, world))
        seen += [item for batch in numbers(data.val_dataloader()) for item in batch]
    assert sorted(seen) == list(range(21))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"samples_per_epoch": 0}, "samples_per_epoch must be at least 1, got 0"),
    ],
)
def test_impossible_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ShapesDataModule(**options)


def test_an_epoch_of_less_than_a_batch_on_all_processes_is_refused(monkeypatch):
    data = ShapesDataModule(batch_size=8, samples_per_epoch=15, num_workers=0)
    data.setup("fit")
    assert len(data.train_dataloader()) == 1
    monkeypatch.setattr("datamodules.base._process", lambda: (0, 2))
    message = "an epoch of 15 samples is less than one batch of 8 on 2 processes; lower batch_size"
    with pytest.raises(DataError, match=message):
        data.train_dataloader()


def test_images_to_look_at_are_spread_over_the_test_split_without_the_unreadable(data):
    assert data.test_images(3).tolist() == [3, 10, 17]
    assert data.test_images(100).tolist() == list(range(21))

    class Damaged(Numbers):
        def __getitem__(self, item):
            if item == 10:
                raise UnreadableError("numbers", "10", "is damaged")
            return super().__getitem__(item)

    data.test_set = Damaged(21)
    assert data.test_images(3).tolist() == [3, 17]
