import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import PairsDataModule

SHARED = Path(__file__).parents[2] / "../shared/data"


def encoded(values, kind):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def write_pairs(path, count, leave_out=()):
    """Grey images of 40 x 32 pixels, object a in the left half, b in the right half."""
    masks = np.zeros((2, 32, 40), dtype=np.uint8)
    masks[0, :, :20] = masks[1, :, 20:] = 255
    with tarfile.open(path, "w") as shard:
        for sample in range(count):
            members = {
                "jpg": encoded(np.full((32, 40, 3), 20 * sample, dtype=np.uint8), "JPEG"),
                "mask_a.png": encoded(masks[0], "PNG"),
                "mask_b.png": encoded(masks[1], "PNG"),
                "ref_a.jpg": encoded(np.full((50, 32, 3), 60, dtype=np.uint8), "JPEG"),
                "ref_b.jpg": encoded(np.full((32, 50, 3), 180, dtype=np.uint8), "JPEG"),
            }
            for name, content in members.items():
                if name not in leave_out:
                    info = tarfile.TarInfo(f"s{sample}.{name}")
                    info.size = len(content)
                    shard.addfile(info, io.BytesIO(content))


def batches(patterns, **options):
    data = PairsDataModule(str(patterns), size=32, **options)
    data.setup("test")
    return list(data.test_dataloader())


def test_each_object_is_asked_for_once(tmp_path):
    write_pairs(tmp_path / "pairs-0.tar", 2)
    write_pairs(tmp_path / "pairs-1.tar", 1)
    first, second = batches(tmp_path / "pairs-*.tar", batch_size=4)
    assert first["key"] == ["s0-a", "s0-b", "s1-a", "s1-b"]
    assert first["group"] == ["s0", "s0", "s1", "s1"]
    assert second["key"] == ["s0-a", "s0-b"]
    assert first["image"].shape == first["reference"].shape == (4, 3, 32, 32)
    assert first["mask"].dtype == first["other_mask"].dtype == torch.bool
    assert first["mask"].shape == (4, 1, 32, 32)
    # The objects share the image out between them, and change places when the other is asked for.
    assert torch.equal(first["mask"], ~first["other_mask"])
    assert torch.equal(first["mask"][0], first["other_mask"][1])
    assert first["mask"][0, 0, :, :16].all()
    means = first["reference"].mean(dim=(1, 2, 3)) * 255
    assert means.tolist() == pytest.approx([60, 180, 60, 180], abs=2)


def test_missing_member_is_named(tmp_path):
    write_pairs(tmp_path / "pairs.tar", 1, leave_out=["ref_b.jpg"])
    data = PairsDataModule(str(tmp_path / "pairs.tar"))
    assert data.pairs[0]["key"] == "s0-a"
    with pytest.raises(ValueError, match=r"sample 's0' has no ref_b.jpg, only jpg, mask_a.png"):
        data.pairs[1]
    with pytest.raises(IndexError):
        data.pairs[2]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the pairs beside the checkout")
def test_real_pairs_have_two_objects_apart():
    data = PairsDataModule(str(SHARED / "pairs-*.tar"))
    assert len(data.pairs) == 240
    sample = data.pairs[7]
    assert sample["mask"].any()
    assert sample["other_mask"].any()
    assert sample["reference"].shape == (3, 224, 224)
