import pytest
import torch

from datamodules import ShapesDataModule
from datamodules.shapes import Shapes


def test_the_bright_quadrant_is_the_label_and_the_mask():
    for sample in (Shapes(20, 32, seed=0)[i] for i in range(20)):
        quadrants = sample["image"].mean(0).unfold(0, 16, 16).unfold(1, 16, 16).mean((-2, -1))
        assert quadrants.argmax() == sample["label"]
        inside = sample["image"].mean(0)[sample["mask"][0]]
        assert inside.mean() > 0.7
        assert sample["mask"].sum() == 16 * 16


def test_same_seed_same_image_other_seed_another():
    assert torch.equal(Shapes(5, 16, 0)[3]["image"], Shapes(9, 16, 0)[3]["image"])
    assert not torch.equal(Shapes(5, 16, 0)[3]["image"], Shapes(5, 16, 1)[3]["image"])


def test_odd_size_is_refused():
    with pytest.raises(ValueError, match="even to have four quadrants, got 33"):
        Shapes(1, 33, 0)


def test_batch_keeps_the_contract():
    data = ShapesDataModule(length=6, size=32, batch_size=4)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["image"].shape == (4, 3, 32, 32)
    assert batch["image"].dtype == torch.float32
    assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
    assert batch["label"].dtype == torch.int64
    assert batch["mask"].dtype == torch.bool
    assert batch["mask"].shape == (4, 1, 32, 32)
    assert batch["key"] == ["000000", "000001", "000002", "000003"]
