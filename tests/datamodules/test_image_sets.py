"""Images of folders, shards and packages, and random views of them."""

from importlib.util import find_spec

import pytest
import torch
from PIL import Image

from datamodules.errors import UnreadableError
from datamodules.image_sets import Views, images_of
from datamodules.samples.transforms import evaluation_transform, view_transform

PLAIN = evaluation_transform(16, 1.0)


def test_folder_of_a_class_makes_its_label(class_folder):
    images = images_of(str(class_folder), PLAIN)
    assert images.labels == [0, 1, 1, 2, 2, 2]
    assert [round(float(images[i]["image"].mean()) * 255) for i in range(6)] == [
        0, 40, 41, 82, 80, 81,  # below comes before the files beside it
    ]  # fmt: skip
    assert images[3]["label"] == 2


def test_files_of_one_name_in_several_folders_have_keys_of_their_own(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 16)).save(tmp_path / name / "1.png")
    images = images_of(str(tmp_path), PLAIN)
    assert [images[index]["key"] for index in (0, 1)] == ["ant_1", "bee_1"]
    assert images.labels == [0, 1]


def test_folder_without_classes_has_no_labels(class_folder):
    images = images_of(str(class_folder / "cat"), PLAIN)
    assert images.labels is None
    assert "label" not in images[0]


def test_labels_of_shards_are_read_without_their_images(tmp_path, write_labelled):
    write_labelled(tmp_path / "a-0.tar", [3, 1])
    write_labelled(tmp_path / "a-1.tar", [3])
    shards = images_of(str(tmp_path / "a-*.tar"), PLAIN)
    assert shards.labels == [3, 1, 3] == [int(shards[i]["label"]) for i in range(3)]
    write_labelled(tmp_path / "a-2.tar", [1, None])
    assert images_of(str(tmp_path / "a-*.tar"), PLAIN).labels is None


def test_nothing_to_read_names_itself(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image file in"):
        images_of(str(tmp_path), PLAIN)
    with pytest.raises(FileNotFoundError, match=r"no shard at .*nowhere"):
        images_of("nowhere", PLAIN)


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "skimage")),
    reason="needs the packages of the extra demo",
)
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


def test_folder_holds_images_of_every_extension_and_no_masks(tmp_path):
    for number, name in enumerate(("a.gif", "b.jfif", "c.jpeg", "d.tif", "e.webp")):
        kind = {"jfif": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:])
        Image.new("RGB", (20, 16), (10 * number,) * 3).save(tmp_path / name, kind)
    Image.new("L", (20, 16), 255).save(tmp_path / "a.mask.png")
    images = images_of(str(tmp_path), PLAIN)
    means = [round(float(images[index]["image"].mean()) * 255) for index in range(len(images))]
    assert means == [0, 10, 20, 30, 40]


def test_an_unreadable_image_is_named_by_its_folder_and_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UnreadableError, match=rf"^{tmp_path}: sample 'a.png' is empty$"):
        _ = images_of(str(tmp_path), PLAIN)[0]
