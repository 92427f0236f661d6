"""Masking networks: frozen features to masks, all of a learned explainer's inference."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier

Readings = tuple[Tensor, list[Tensor]]
"""Answers of frozen networks to images: logits (b classes), and features (b channels _ _)."""


class MaskingNetwork(nn.Module, ABC):
    """The features of a frozen network, and a head that draws masks from them.

    Args:
        backbone: the network whose features are read.
        stages: which of its stages, in the order in which they are drawn from.
    """

    def __init__(self, backbone: FrozenClassifier, stages: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = list(stages)

    @abstractmethod
    def draw(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Map features, as `read` gives them, and labels to masks in [0, 1] at the head's own size.

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
    def read_with_logits(self, images: Tensor, classifier: nn.Module | None = None) -> Readings:
        """Logits (b classes) and the features.

        Args:
            images: (b 3 h w) in [0, 1].
            classifier: gives the logits; by default the backbone, in the same pass.
        """
        if classifier is not None:
            return classifier(images), self.read(images)
        logits, features = self.backbone.logits_and_features(images, self.stages)
        return logits, self.adapt(features)

    def masks(self, features: Sequence[Tensor], labels: Tensor, images: Tensor) -> Tensor:
        """Draw masks (b n h w) in [0, 1] at the size of images (b 3 h w); labels as of `draw`."""
        return enlarge(self.draw(features, labels), images)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels (b) to masks (b 1 h w) in [0, 1]."""
        return self.masks(self.read(images), labels, images)


def enlarge(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks (b n _ _) to the size of images (b 3 h w)."""
    return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)


def squash(scores: Tensor) -> Tensor:
    """Scores to masks in [0, 1]; under bf16, masks and their losses would have three digits."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32)).sigmoid()
