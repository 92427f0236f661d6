from importlib.util import find_spec

import pytest
import torch

from datamodules import ViewsDataModule


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "skimage")),
    reason="needs the packages of the extra demo",
)
def test_reference_of_a_view_is_the_other_one_of_the_same_image():
    data = ViewsDataModule(size=32, batch_size=4)
    data.setup("test")
    assert len(data.test_set) == 32
    batch = next(iter(data.test_dataloader()))
    assert batch["image"].shape == batch["reference"].shape == (4, 3, 32, 32)
    assert batch["label"].tolist() == [0, 1, 2, 3]
    for index in range(4):
        assert torch.equal(batch["image"][index], data.views.views[2 * index]["image"])
        assert torch.equal(batch["reference"][index], data.views.views[2 * index + 1]["image"])


def test_views_of_shards(tmp_path, write_labelled):
    write_labelled(tmp_path / "a.tar", [3, 1])
    data = ViewsDataModule(str(tmp_path / "a.tar"), size=16)
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert batch["label"].tolist() == [0, 1]  # of the image, not of its class
    assert not torch.equal(batch["image"], batch["reference"])  # the colours differ
