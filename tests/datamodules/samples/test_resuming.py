import pytest

from datamodules.errors import DataError
from datamodules.samples.resuming import arguments_of, differing_settings

RUN = {
    "batch_size": 8,
    "processes": 2,
    "accumulate_grad_batches": 1,
    "samples_per_epoch": 64,
    "size": 224,
    "num_workers": 2,
    "seed": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_workers": 0},
        {"batch_size": 16, "processes": 1},  # the same samples in each step
        {"samples_per_epoch": 70},  # the same number of whole batches
        {"unknown to the checkpoint": 1},
    ],
)
def test_what_changes_no_step_is_not_told(change):
    assert differing_settings(RUN, RUN | change) is None


def test_a_setting_that_only_the_checkpoint_has_is_not_told():
    assert differing_settings(RUN | {"of an earlier version": 1}, RUN) is None


def test_other_samples_are_told_in_one_line():
    line = differing_settings(RUN, RUN | {"size": 96, "seed": 1})
    assert "size 224 (here 96), seed 0 (here 1)" in line
    assert "ends with other weights" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 2}, r"batch_size 8 \(here 2\).* 4 batches of 16 .* 16 batches of 4"),
        ({"processes": 1}, r"processes 2 \(here 1\)"),
        ({"samples_per_epoch": 32}, r"samples_per_epoch 64 \(here 32\)"),
        ({"accumulate_grad_batches": 2}, r"4 batches of 16 samples an epoch, 2 a step"),
    ],
)
def test_other_steps_are_refused(change, words):
    with pytest.raises(DataError, match=words):
        differing_settings(RUN, RUN | change)


class Base:
    def __init__(self, count, workers=0):
        self.given = arguments_of(self)


class Data(Base):
    def __init__(self, train, scale=(0.3, 1.0), transform=None, *, count=None):
        super().__init__(count or 7)


def test_arguments_are_kept_as_plain_values_with_their_defaults():
    given = Data("shards", transform=RUN).given
    expected = {"train": "shards", "scale": [0.3, 1.0], "transform": str(RUN), "workers": 0}
    assert given == expected | {"count": None}  # as it was given, not as it was passed on
    assert Base(3).given == {"count": 3, "workers": 0}
