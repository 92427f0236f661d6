"""Images of folders, shards and packages, and their views, as the tasks with references read them."""

from importlib.util import find_spec

import pytest
import torch
from PIL import Image
from webdataset import TarWriter

from datamodules import GalleryDataModule, ViewsDataModule
from datamodules.image_sets import Views, images_of
from datamodules.samples.transforms import evaluation_transform, view_transform

PLAIN = evaluation_transform(16, 1.0)
at_hand = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "skimage")),
    reason="needs the packages of the extra demo",
)


@pytest.fixture
def folder(tmp_path):
    """Classes of 1, 2 and 3 grey images, one of them in a folder below."""
    for label, name in enumerate(("ant", "bee", "cat")):
        place = tmp_path / "images" / name
        (place / "below").mkdir(parents=True)
        for image in range(label + 1):
            grey = Image.new("RGB", (20, 16), (40 * label + image,) * 3)
            grey.save((place / "below" if image == 2 else place) / f"{name}{image}.png")
    (tmp_path / "images/ant/notes.txt").write_text("no image")
    return tmp_path / "images"


def write_shard(path, labels):
    """Grey images, the brighter the higher their label; None leaves the label out."""
    with TarWriter(str(path)) as tar:
        for index, label in enumerate(labels):
            image = Image.new("RGB", (20, 16), (40 * (label or 0),) * 3)
            sample = {"__key__": f"{index:04d}", "jpg": image}
            tar.write(sample if label is None else sample | {"cls": label})


def test_folder_of_a_class_makes_its_label(folder):
    images = images_of(str(folder), PLAIN)
    assert images.labels == [0, 1, 1, 2, 2, 2]
    assert [round(float(images[i]["image"].mean()) * 255) for i in range(6)] == [
        0, 40, 41, 82, 80, 81,  # below comes before the files beside it
    ]  # fmt: skip
    assert images[3]["label"] == 2


def test_folder_without_classes_has_no_labels(folder):
    images = images_of(str(folder / "cat"), PLAIN)
    assert images.labels is None
    assert "label" not in images[0]


def test_labels_of_shards_are_read_without_their_images(tmp_path):
    write_shard(tmp_path / "a-0.tar", [3, 1])
    write_shard(tmp_path / "a-1.tar", [3])
    shards = images_of(str(tmp_path / "a-*.tar"), PLAIN)
    assert shards.labels == [3, 1, 3] == [int(shards[i]["label"]) for i in range(3)]
    write_shard(tmp_path / "a-2.tar", [1, None])
    assert images_of(str(tmp_path / "a-*.tar"), PLAIN).labels is None


def test_nothing_to_read_names_itself(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image file in"):
        images_of(str(tmp_path), PLAIN)
    with pytest.raises(FileNotFoundError, match=r"no shard at .*nowhere"):
        images_of("nowhere", PLAIN)


@at_hand
def test_views_are_the_same_of_a_seed_and_unlike_each_other():
    photographs = images_of(None, view_transform(32, (0.2, 1.0)))
    views, same, others = (Views(photographs, 3, seed) for seed in (0, 0, 1))
    assert len(views) == 3 * len(photographs)
    assert views.labels[:7] == [0, 0, 0, 1, 1, 1, 2]
    first = [views[index] for index in (3, 4, 5)]
    assert [int(view["label"]) for view in first] == [1, 1, 1]
    assert first[1]["key"] == first[0]["key"].replace("-0", "-1")
    assert torch.equal(same[4]["image"], first[1]["image"])
    assert not torch.equal(others[4]["image"], first[1]["image"])
    assert not torch.equal(first[0]["image"], first[1]["image"])
    assert 0 <= first[0]["image"].min() < first[0]["image"].max() <= 1
    before = torch.get_rng_state()
    views[4]
    assert torch.equal(torch.get_rng_state(), before)


@at_hand
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


def test_views_of_shards(tmp_path):
    write_shard(tmp_path / "a.tar", [3, 1])
    data = ViewsDataModule(str(tmp_path / "a.tar"), size=16)
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert batch["label"].tolist() == [0, 1]  # of the image, not of its class
    assert not torch.equal(batch["image"], batch["reference"])  # the colours differ


@at_hand
def test_gallery_of_the_packages_has_some_views_of_each_photograph():
    data = GalleryDataModule(views=2, size=16, batch_size=8)
    data.setup("test")
    assert len(data.test_set) == 64
    assert next(iter(data.test_dataloader()))["label"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_gallery_of_a_folder(folder):
    data = GalleryDataModule(str(folder), size=16)
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert batch["label"].tolist() == [0, 1, 1, 2, 2, 2]
    assert "reference" not in batch
