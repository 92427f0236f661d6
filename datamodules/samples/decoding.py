"""Decoding of a sample's members: image, mask and label."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.samples.image_files import Mode, decode_image
from datamodules.samples.labels import label_of
from datamodules.samples.unreadable import Sample


@dataclass(frozen=True)
class DecodedSample:
    """Image, mask and label of a sample, before any transform.

    Attributes:
        image: RGB.
        mask: of its size, grey, or None.
        label: its class, or None.
    """

    image: Image.Image
    mask: Image.Image | None
    label: int | None

    def transformed(self, transform: v2.Transform) -> Sample:
        """Crop and convert image and mask alike."""
        sample: Sample = {}
        if self.label is not None:
            sample["label"] = torch.tensor(self.label)
        if self.mask is None:
            image = transform(self.image)
        else:
            mask = tv_tensors.Mask(v2.functional.pil_to_tensor(self.mask))
            image, mask = transform(self.image, mask)
            sample["mask"] = mask.as_subclass(Tensor) != 0
        return sample | {"image": image.as_subclass(Tensor)}


def decode_sample(
    content: dict[str, bytes], at_least: int | None = None, num_classes: int | None = None
) -> DecodedSample:
    """Decode `cls`, `mask.png` and the remaining member, the image.

    Args:
        content: the members by their extensions.
        at_least: as `decode_image` takes it; of no effect where there is a mask.
        num_classes: as `label_of` takes it.

    Raises:
        ValueError: one of them cannot be decoded, or the mask is of another size than the image.
    """
    rest = dict(content)
    label = label_of(rest.pop("cls"), num_classes) if "cls" in rest else None
    mask = rest.pop("mask.png", None)
    ((extension, file),) = rest.items()
    image = _picture(extension, file, "RGB", at_least if mask is None else None)
    if mask is None:
        return DecodedSample(image, None, label)
    shape = _picture("mask.png", mask, "L")
    if shape.size != image.size:
        raise ValueError(f"has a mask of {shape.size} pixels for an image of {image.size}")
    return DecodedSample(image, shape, label)


def _picture(extension: str, file: bytes, mode: Mode, at_least: int | None = None) -> Image.Image:
    try:
        return decode_image(file, mode, at_least)
    except ValueError as error:
        raise ValueError(f"has a {extension} that {error}") from error
