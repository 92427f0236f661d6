"""Photographs that the commands are asked about."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def rotated(tmp_path):
    """A JPEG that its EXIF data turns by 90 degrees, and a PNG of the same pixels upright."""
    folder = tmp_path / "rotated"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = image.getexif()
    exif[0x112] = 6  # the camera was turned: rotate clockwise to see it upright
    image.save(folder / "rotated.jpg", exif=exif)
    with Image.open(folder / "rotated.jpg") as file:
        upright = Image.fromarray(np.rot90(np.asarray(file), -1).copy())
    upright.save(folder / "upright.png")
    return folder / "rotated.jpg", folder / "upright.png"
