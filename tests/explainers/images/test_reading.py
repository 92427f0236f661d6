"""Whatever mode a file is in, it is seen as a viewer would show it."""

import numpy as np
import pytest
import torch
from PIL import Image

from explainers.errors import InputError
from explainers.images.reading import open_image, to_batch, to_tensor


def save(image, path, **options):
    image.save(path, **options)
    return path


def pixel(path, position=(0, 0)):
    image = open_image(path)
    assert image.mode == "RGB"
    return image.getpixel(position)


def test_greyscale_is_repeated(tmp_path):
    path = save(Image.new("L", (4, 4), 77), tmp_path / "grey.png")
    assert pixel(path) == (77, 77, 77)


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    path = save(Image.fromarray(values), tmp_path / "deep.png")
    assert [pixel(path, (x, y))[0] for y in (0, 1) for x in (0, 1)] == [0, 100, 200, 255]


def test_transparency_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    path = save(image, tmp_path / "alpha.png")
    assert pixel(path) == (200, 0, 0)
    assert pixel(path, (1, 0)) == (255, 255, 255)


def test_palette_with_transparency_is_laid_over_white(tmp_path):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((1, 0), 0)
    path = save(image, tmp_path / "palette.png", transparency=0)
    assert pixel(path) == (10, 20, 30)
    assert pixel(path, (1, 0)) == (255, 255, 255)


def test_cmyk_is_converted(tmp_path):
    path = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "ink.jpg", quality=100)
    red, green, blue = pixel(path)
    assert red > 200
    assert max(green, blue) < 60


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # stored lying on its side
    path = save(image, tmp_path / "side.jpg", exif=exif)
    assert open_image(path).size == (2, 4)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no image file at .*nowhere\.png"):
        open_image(tmp_path / "nowhere.png")


@pytest.mark.parametrize("content", [b"", b"this is text", b"\x89PNG\r\n\x1a\n only a head"])
def test_unreadable_file_is_named(tmp_path, content):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.jpg cannot be read as an image"):
        open_image(tmp_path / "bad.jpg")


def test_truncated_file_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "cut.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.jpg cannot be read"):
        open_image(path)


def test_whole_image_is_stretched_to_height_and_width():
    image = Image.new("RGB", (100, 50), (255, 0, 0))
    tensor = to_tensor(image, (20, 30), None)
    assert tensor.shape == (3, 20, 30)
    assert torch.equal(tensor[:, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_crop_keeps_the_middle_and_the_proportions():
    image = Image.new("RGB", (200, 100))
    image.paste((255, 255, 255), (50, 0, 150, 100))  # the central square is white
    tensor = to_tensor(image, (70, 70), 0.875)
    assert tensor.shape == (3, 70, 70)
    assert tensor.min() == 1


@pytest.mark.parametrize("nothing", [[], torch.rand(0, 3, 8, 8)], ids=["list", "tensor"])
def test_no_image_is_refused(nothing):
    with pytest.raises(InputError, match="no image to explain; give at least one"):
        to_batch(nothing, (8, 8), None)


def test_images_may_come_from_a_generator(tmp_path):
    path = save(Image.new("RGB", (8, 8)), tmp_path / "one.png")
    images, shown, names = to_batch((one for one in [path, path]), (4, 4), None)
    assert (images.shape, len(shown), len(names)) == ((2, 3, 4, 4), 2, 2)
