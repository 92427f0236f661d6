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
