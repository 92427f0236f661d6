import numpy as np
import torch
from PIL import Image

from datamodules.samples.transforms import random_scale_transform


def test_random_scales_are_drawn_anew_for_each_item():
    pixels = np.arange(40 * 40, dtype=np.uint8).reshape(40, 40)
    image = Image.fromarray(pixels).convert("RGB")
    crop = random_scale_transform(16, [0.2, 0.9])
    assert not torch.equal(crop(image), crop(image))
    assert crop(image).shape == (3, 16, 16)
