"""A network as its source hands it on."""

from typing import NamedTuple

from torch import nn

from explainers.classifier.image_format import ImageFormat
from explainers.classifier.text_tower import TextTower


class Network(NamedTuple):
    """A network, and what its own config does not tell in timm's way.

    Attributes:
        model: maps normalised images to logits.
        image_format: normalisation, size and crop.
        class_names: in the order of the logits.
        text_tower: encodes the texts that are its classes.
    """

    model: nn.Module
    image_format: ImageFormat | None = None
    class_names: list[str] | None = None
    text_tower: TextTower | None = None
