from datamodules.samples.image_files import EXTENSIONS
from datamodules.samples.image_listing import image_paths


def test_images_below_a_folder_are_those_of_every_extension_without_masks_and_what_is_hidden(
    tmp_path,
):
    for folder in ("below", ".ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
    no_images = [".hidden.png", "0.mask.png", "notes.txt", "a.pdf", ".ipynb_checkpoints/0.png"]
    names = [f"{number}.{extension}" for number, extension in enumerate(EXTENSIONS)]
    for name in [*names, "below/Z.TIFF", *no_images]:
        (tmp_path / name).touch()
    expected = sorted(tmp_path / name for name in [*names, "below/Z.TIFF"])
    assert image_paths(tmp_path) == expected


def test_a_folder_that_is_linked_is_listed_and_a_link_to_what_it_is_in_is_not(tmp_path):
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    for folder in (images, elsewhere):
        folder.mkdir()
        (folder / "0.png").touch()
    (images / "linked").symlink_to(elsewhere)
    (images / "itself").symlink_to(images)
    assert image_paths(images) == [images / "0.png", images / "linked/0.png"]
