"""Drawn scenes: what is there, where, and always the same."""

import pytest
import torch

from datamodules import ScenesDataModule
from datamodules.errors import DataError
from datamodules.samples.drawn_objects import CLASSES, SHAPES, Place, drawn, pixels_of, placed
from datamodules.scenes import Scenes


def module(**options):
    settings = {"length": 12, "held_out": 10, "batch_size": 4, "samples_per_epoch": 8}
    data = ScenesDataModule(**settings | options)
    data.setup("fit")
    return data


def test_batch_has_what_the_contract_says():
    batch = next(iter(module().test_dataloader()))
    assert batch["image"].shape == (4, 3, 64, 64)
    assert batch["image"].dtype == torch.float32
    assert batch["image"].min() >= 0
    assert batch["image"].max() <= 1
    assert batch["mask"].shape == batch["other_mask"].shape == (4, 1, 64, 64)
    assert batch["mask"].dtype == torch.bool
    assert torch.equal(batch["label"], batch["target"])
    assert batch["classes"].gather(1, batch["label"][:, None]).all()


def test_objects_lie_apart_and_are_of_different_classes():
    scenes = Scenes(40, 64, (1, 4), 3)
    counts = set()
    for index in range(40):
        sample = scenes[index]
        assert sample["mask"].any()
        assert not (sample["mask"] & sample["other_mask"]).any()
        counts.add(int(sample["classes"].sum()))
        assert sample["other_mask"].any() == (sample["classes"].sum() > 1)
    assert counts == {1, 2, 3, 4}


def test_mask_is_where_the_object_was_painted():
    image = torch.full((3, 64, 64), 0.5)
    colours = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    for label in range(len(CLASSES)):
        painted, pixels = drawn(image, label, Place(32, 30, 12, 0.4), colours)
        assert torch.equal((painted != image).any(dim=0), pixels)
        textured = CLASSES[label].split()[0] != "plain"
        assert (painted[0][pixels].unique().numel() == 2) == textured


@pytest.mark.parametrize(("shape", "area"), [("disc", 0.81 * torch.pi), ("square", 1.5**2)])
def test_area_of_a_shape(shape, area):
    pixels = pixels_of(shape, *placed(256, Place(128, 128, 100, 0.3)))
    assert pixels.sum() / 100**2 == pytest.approx(area, rel=0.01)


def test_turning_a_shape_keeps_its_area():
    for shape in SHAPES:
        areas = [
            pixels_of(shape, *placed(128, Place(64, 64, 40, angle))).sum() for angle in (0.0, 1.0)
        ]
        assert areas[0] == pytest.approx(areas[1].item(), rel=0.02)


def test_every_class_is_as_likely():
    scenes = Scenes(600, 48, (1, 1), 0)
    counts = torch.bincount(
        torch.stack([scenes[index]["label"] for index in range(600)]), minlength=len(CLASSES)
    )
    assert counts.min() > 20  # 40 are expected, with a standard deviation of 6
    assert counts.max() < 65


@pytest.mark.parametrize("workers", [0, 2])
def test_scenes_are_the_same_whatever_the_workers(workers):
    expected = torch.stack([Scenes(10, 64, (1, 3), 2)[index]["image"] for index in range(10)])
    batches = list(module(num_workers=workers).test_dataloader())
    torch.testing.assert_close(torch.cat([batch["image"] for batch in batches]), expected)


def test_training_goes_round_its_scenes_and_splits_are_disjoint():
    data = module(samples_per_epoch=24)
    shown = torch.cat([batch["image"] for batch in data.train_dataloader()])
    torch.testing.assert_close(shown[:12], shown[12:])
    splits = [data.train_set[0], data.val_set[0], data.test_set[0]]
    first, second, third = (sample["image"] for sample in splits)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    assert not torch.equal(module(seed=1).train_set[0]["image"], first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size must be at least 48 pixels, got 32"),
        ({"objects": [0, 3]}, r"objects must be two whole numbers.*got \[0, 3\]"),
        ({"objects": [3, 2]}, r"got \[3, 2\]"),
        ({"objects": 2}, "got 2"),
        ({"length": 0}, "length must be"),
        ({"held_out": 0}, "held_out must be"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        ScenesDataModule(**options)
