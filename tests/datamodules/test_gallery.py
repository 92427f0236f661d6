from importlib.util import find_spec

import pytest

from datamodules import GalleryDataModule


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "skimage")),
    reason="needs the packages of the extra demo",
)
def test_gallery_of_the_packages_has_some_views_of_each_photograph():
    data = GalleryDataModule(views=2, size=16, batch_size=8)
    data.setup("test")
    assert len(data.test_set) == 64
    assert next(iter(data.test_dataloader()))["label"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_gallery_of_a_folder(class_folder):
    data = GalleryDataModule(str(class_folder), size=16)
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert batch["label"].tolist() == [0, 1, 1, 2, 2, 2]
    assert "reference" not in batch
