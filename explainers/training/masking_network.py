"""What a learned explainer trains: the network that draws the masks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier

Readings = tuple[Tensor, list[Tensor]]
"""What frozen networks say of images: logits (b classes), and features (b channels _ _)."""


class MaskingNetwork(nn.Module, ABC):
    """The features of a frozen network, and what draws masks from them: all of inference.

    Args:
        backbone: whose features are read.
        stages: which of its stages, in the order in which they are drawn from.
    """

    def __init__(self, backbone: FrozenClassifier, stages: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = list(stages)

    @abstractmethod
    def draw(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Map what `read` gives and labels to masks in [0, 1] at a size of the network's own.

        Labels (b) ask for one class an image and give (b 1 _ _); labels (b n), or (1 n) for the
        same n classes of all, give (b n _ _).
        """

    def adapt(self, features: list[Tensor]) -> list[Tensor]:
        """Bring the stages' features (b channels _ _) to what is drawn from: as they are."""
        return features

    @torch.no_grad()
    def read(self, images: Tensor) -> list[Tensor]:
        """Map images (b 3 h w) to features (b channels _ _), one a stage."""
        return self.adapt(self.backbone.features(images, self.stages))

    @torch.no_grad()
    def read_with_logits(self, images: Tensor) -> Readings:
        """The backbone's logits (b classes) and what `read` gives, in one pass."""
        logits, features = self.backbone.logits_and_features(images, self.stages)
        return logits, self.adapt(features)

    def masks(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels to masks; see `draw`."""
        return self.draw(self.read(images), labels)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels (b) to masks (b 1 h w) in [0, 1]."""
        return enlarge(self.masks(images, labels), images)


def enlarge(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks (b 1 _ _) to the size of images (b 3 h w)."""
    return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)


def squash(scores: Tensor) -> Tensor:
    """Scores to masks in [0, 1]; under bf16, masks and their losses would have three digits."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32)).sigmoid()
