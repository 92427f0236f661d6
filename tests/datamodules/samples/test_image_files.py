"""One reader for images of users and of data sets: upright, 8 bit, RGB or a grey mask."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import datamodules
from datamodules import FolderDataModule
from datamodules.folder import Files
from datamodules.photos import Photographs
from datamodules.samples.image_files import decode_image, load_image
from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import evaluation_transform, training_crops
from datamodules.shards import Shards
from explainers.images.reading import open_image

TURNED = {3: 2, 6: -1, 8: 1}
"""Quarter turns against the clock that set an image upright, by its EXIF orientation."""

PLAIN = evaluation_transform(32, 1.0)


def encoded(pixels, kind, orientation=None, **options):
    image = Image.fromarray(pixels)
    exif = image.getexif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def noise(height=40, width=56):
    """Blurred, so that JPEG keeps it."""
    small = np.random.default_rng(0).integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def stored(content):
    """The pixels as a file holds them, whatever its EXIF data say."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.fixture(params=TURNED)
def turned(request):
    """A JPEG file that is to be turned, and a PNG file of its upright pixels."""
    content = encoded(noise(), "JPEG", request.param)
    return content, encoded(np.rot90(stored(content), TURNED[request.param]), "PNG")


def test_a_draft_is_the_smallest_that_has_the_pixels(jpeg):
    content = jpeg(9, size=(400, 320))
    assert decode_image(content).size == (400, 320)
    assert decode_image(content, at_least=320).size == (400, 320)
    assert decode_image(content, at_least=160).size == (200, 160)
    assert decode_image(content, at_least=161).size == (400, 320)
    assert decode_image(content, at_least=1).size == (50, 40)


def test_every_way_to_an_image_sets_it_upright(turned, tmp_path, write_tar):
    pictures = []
    for content, extension in zip(turned, ("jpg", "png"), strict=True):
        folder = tmp_path / extension
        folder.mkdir()
        path = folder / f"a.{extension}"
        path.write_bytes(content)
        write_tar(tmp_path / f"{extension}.tar", [(f"a.{extension}", content)])
        data = FolderDataModule(*3 * [str(folder)], size=32, resize=40, num_workers=0)
        data.setup("fit")
        pictures.append(
            [
                np.asarray(open_image(path)),
                data.val_set[0]["image"].numpy(),
                data.train_set[7]["image"].numpy(),
                Shards(str(tmp_path / f"{extension}.tar"), PLAIN)[0]["image"].numpy(),
                Photographs([path], None, PLAIN)[0]["image"].numpy(),
            ]
        )
    assert all(np.array_equal(jpeg, png) for jpeg, png in zip(*pictures, strict=True))
    assert np.array_equal(pictures[0][0], stored(turned[1]))


@pytest.mark.parametrize("orientation", TURNED)
def test_a_draft_is_set_upright_and_its_training_crops_are_those_of_upright_pixels(
    orientation, tmp_path
):
    content = encoded(noise(320, 448), "JPEG", orientation)
    with Image.open(io.BytesIO(content)) as image:
        image.draft(None, (40, 40))
        drafted = np.rot90(np.asarray(image), TURNED[orientation])
    assert sorted(drafted.shape) == [3, 40, 56]
    crops, needed = training_crops(32, 40, None, "bilinear")
    streams = []
    for name, file in (("a.jpg", content), ("a.png", encoded(drafted, "PNG"))):
        (tmp_path / name[2:]).mkdir()
        (tmp_path / name[2:] / name).write_bytes(file)
        streams.append(ShuffledShards(Files(tmp_path / name[2:], crops, needed), 1, seed=0))
    assert np.array_equal(np.asarray(decode_image(content, at_least=needed)), drafted)
    for item in range(5):
        assert torch.equal(streams[0][item]["image"], streams[1][item]["image"])


@pytest.mark.parametrize("orientation", TURNED)
def test_image_and_mask_are_turned_each_by_its_own_exif_data(orientation, tmp_path):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[3:20, 5:12] = 255
    upright = np.rot90(pixels, TURNED[orientation])
    masks = {
        "turned": encoded(pixels[..., 0], "PNG", orientation),
        "upright": encoded(np.ascontiguousarray(upright[..., 0]), "PNG"),
    }
    whole = evaluation_transform(40, 1.0)
    for name, mask in masks.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(encoded(pixels, "PNG", orientation))
        (tmp_path / name / "a.mask.png").write_bytes(mask)
        sample = Files(tmp_path / name, whole)[0]
        assert np.array_equal(sample["mask"][0], upright[..., 0] == 255)
        assert np.array_equal(sample["image"][0] == 1, upright[..., 0] == 255)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_eight_orientations_are_those_of_pillow(kind, orientation):
    from PIL import ImageOps

    content = encoded(noise(), kind, orientation)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert not np.array_equal(expected, noise())
    assert np.array_equal(np.asarray(decode_image(content)), expected)


def test_an_image_that_was_turned_is_not_turned_again(turned):
    image = load_image(io.BytesIO(turned[0]))
    assert np.array_equal(np.asarray(open_image(open_image(image))), stored(turned[1]))


@pytest.mark.parametrize(
    "damaged",
    [b"no header", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03"],
)
def test_damaged_exif_data_leave_the_pixels_as_they_are(damaged):
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(
        buffer,
        "JPEG",
        exif=b"Exif\0\0" + damaged,
        dpi=(72, 72),  # or opening reads the data already
    )
    expected = stored(encoded(noise(), "JPEG"))
    assert np.array_equal(np.asarray(decode_image(buffer.getvalue())), expected)


def test_sixteen_bits_are_scaled_and_transparency_is_laid_over_white_in_data_sets():
    deep = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    assert np.asarray(decode_image(encoded(deep, "PNG")))[..., 0].tolist() == [[0, 100], [200, 255]]
    glass = np.array([[[200, 0, 0, 255], [0, 0, 0, 0]]], np.uint8)
    image = decode_image(encoded(glass, "PNG"))
    assert np.asarray(image).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_a_mask_is_not_laid_over_white():
    glass = np.zeros((2, 2, 4), np.uint8)
    glass[0, 0] = 255
    mask = decode_image(encoded(glass, "PNG"), "L")
    assert mask.mode == "L"
    assert np.asarray(mask).tolist() == [[255, 0], [0, 0]]


def test_only_images_of_data_sets_are_limited_to_the_pixels_of_a_photograph(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = encoded(np.zeros((10, 15, 3), np.uint8), "PNG")
    with pytest.raises(ValueError, match=r"^is a decompression bomb \(Image size \(150 pixels\)"):
        decode_image(content)
    assert load_image(io.BytesIO(content)).size == (15, 10)
    monkeypatch.undo()
    line = encoded(np.zeros((1, 101), np.uint8), "PNG")
    with pytest.raises(ValueError, match=r"decoded \(one side is over 100 times the other\)"):
        decode_image(line)
    assert load_image(io.BytesIO(line)).size == (101, 1)


def test_reading_an_image_loads_neither_lightning_nor_torch():
    code = (
        "import sys, datamodules.samples.image_files, datamodules.samples.image_listing\n"
        "print(sorted({'lightning', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_loaded_when_it_is_asked_for():
    assert all(getattr(datamodules, name).__name__ == name for name in datamodules.__all__)
    assert set(datamodules.__all__) <= set(dir(datamodules))
    with pytest.raises(AttributeError, match="has no attribute 'NoDataModule'"):
        _ = datamodules.NoDataModule
