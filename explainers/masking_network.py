"""What a learned explainer trains: the network that draws the masks."""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn


class MaskingNetwork(nn.Module, ABC):
    """All of inference in plain torch: tensors in, a tensor out, what is exported."""

    @abstractmethod
    def masks(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels to masks in [0, 1] at a size of the network's own.

        Labels (b) ask for one class an image and give (b 1 _ _); labels (b n), or (1 n) for the
        same n classes of all, give (b n _ _).
        """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels (b) to masks (b 1 h w) in [0, 1]."""
        return enlarge(self.masks(images, labels), images)


def enlarge(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks (b 1 _ _) to the size of images (b 3 h w)."""
    return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)
