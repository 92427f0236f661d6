"""Every way from a file to a batch reads the same pixels."""

import numpy as np
import pytest
from PIL import Image

from datamodules import (
    FolderDataModule,
    GalleryDataModule,
    ShardsDataModule,
)
from datamodules.pack import main
from datamodules.samples.image_source import image_source_of


def picture(kind):
    """A picture that is easily read wrong, the pixels it stands for, and its EXIF orientation."""
    if kind == "16 bits":
        values = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
        return Image.fromarray(values), np.stack([values / 257] * 3, axis=-1), None
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    if kind == "transparent":
        opaque = np.broadcast_to(np.arange(32) >= 16, (32, 32))[..., None]
        glass = np.concatenate([pixels, 255 * opaque.astype(np.uint8)], axis=-1)
        return Image.fromarray(glass), np.where(opaque, pixels, 255), None
    return Image.fromarray(pixels), np.rot90(pixels, -1), 6


@pytest.mark.parametrize("kind", ["16 bits", "transparent", "rotated"])
def test_every_route_reads_the_same_pixels(kind, tmp_path, write_tar):
    image, expected, orientation = picture(kind)
    exif = image.getexif()
    if orientation:
        exif[0x0112] = orientation
    (tmp_path / "one").mkdir()
    image.save(tmp_path / "one/a.png", exif=exif)
    content = (tmp_path / "one/a.png").read_bytes()
    write_tar(tmp_path / "raw-0.tar", [("a.png", content)])
    assert main(["--images", f"{tmp_path}/one", "--output", f"{tmp_path}/packed"]) == 0
    whole = {"size": 32, "resize": 32, "crop_fraction": 1.0, "num_workers": 0, "batch_size": 1}
    modules = {
        "folder": FolderDataModule(*3 * [f"{tmp_path}/one"], **whole),
        "shards": ShardsDataModule(*3 * [f"{tmp_path}/raw-0.tar"], **whole),
        "packed": ShardsDataModule(*3 * [f"{tmp_path}/packed/one-*.tar"], **whole),
        "gallery": GalleryDataModule(f"{tmp_path}/one", size=32, crop_fraction=1.0),
    }
    for name, data in modules.items():
        data.setup("fit")
        read = data.val_set[0]["image"].permute(1, 2, 0).mul(255).round().numpy()
        assert np.abs(read - expected).max() <= 1, name
    for source in (f"{tmp_path}/one", f"{tmp_path}/raw-0.tar", f"{tmp_path}/packed"):
        assert image_source_of(source).read(0) == content
