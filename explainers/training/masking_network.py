"""Masking networks: frozen features to masks, all of a learned explainer's inference."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.errors import require_known
from explainers.images.normalisation import min_max

Readings = tuple[Tensor, list[Tensor]]
"""Answers of frozen networks to images: logits (b classes), and features (b channels _ _)."""

Terms = dict[str, Tensor]
"""The weighted terms of an objective, each a scalar, by name."""

NORMALISATIONS = {
    "sigmoid": "the sigmoid of the head's scores, as in training",
    "minmax": "min-max of the head's scores, before any sigmoid",
}
"""Normalisations of the maps that learned explainers answer with, in words."""


class MaskingNetwork(nn.Module, ABC):
    """The features of a frozen network, and a head that scores their places for classes.

    Training shapes the sigmoid of the scores, whatever the normalisation of the answer.

    Args:
        backbone: the network whose features are read.
        stages: which of its stages, in the order in which they are drawn from.
        normalisation: a key of `NORMALISATIONS`.

    Raises:
        InputError: the normalisation is unknown.
    """

    def __init__(
        self,
        backbone: FrozenClassifier,
        stages: Sequence[int],
        normalisation: str = "sigmoid",
    ) -> None:
        super().__init__()
        require_known("normalisation", normalisation, NORMALISATIONS)
        self.backbone = backbone
        self.stages = list(stages)
        self.normalisation = normalisation

    @abstractmethod
    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Map features, as `read` gives them, and labels to unbounded scores at the head's size.

        Labels (b) ask for one class an image and give (b 1 _ _); labels (b n), or (1 n) for the
        same n classes of all, give (b n _ _).
        """

    def draw(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The masks in [0, 1] that training shapes: the sigmoid of what `score` gives."""
        return exact(self.score(features, labels)).sigmoid()

    @property
    def read_stages(self) -> list[int]:
        """The backbone's stages whose features `adapt` takes."""
        return self.stages

    @property
    def final_norm(self) -> bool:
        """Whether a transformer's tokens pass through its final norm before `adapt`."""
        return True

    @property
    def settings_of_readings(self) -> list[object]:
        """Settings that the features read depend on, beside networks and images: stages, norm."""
        return [self.read_stages, self.final_norm]

    def adapt(self, features: list[Tensor]) -> list[Tensor]:
        """Bring the stages' features (b channels _ _) to what is drawn from: as they are."""
        return features

    @torch.no_grad()
    def read(self, images: Tensor) -> list[Tensor]:
        """Map images (b 3 h w) to features (b channels _ _), one a stage."""
        return self.adapt(self.backbone.features(images, self.read_stages, self.final_norm))

    @torch.no_grad()
    def read_with_logits(self, images: Tensor, classifier: nn.Module | None = None) -> Readings:
        """Logits (b classes) and the features.

        Args:
            images: (b 3 h w) in [0, 1].
            classifier: gives the logits; by default the backbone, in the same pass.
        """
        if classifier is not None:
            return classifier(images), self.read(images)
        logits, features = self.backbone.logits_and_features(
            images, self.read_stages, self.final_norm
        )
        return logits, self.adapt(features)

    def masks(self, features: Sequence[Tensor], labels: Tensor, images: Tensor) -> Tensor:
        """Masks (b n h w) in [0, 1], normalised, at the size of images (b 3 h w).

        Labels as of `score`. The minimum and maximum are those at the images' size.
        """
        if self.normalisation == "minmax":
            return min_max(enlarge(exact(self.score(features, labels)), images))
        return enlarge(self.draw(features, labels), images)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels (b) to masks (b 1 h w) in [0, 1]."""
        return self.masks(self.read(images), labels, images)


def classes_of_each(labels: Tensor, features: Tensor) -> Tensor:
    """Classes (b n) of each image with features (b channels _ _), from labels as of `score`."""
    labels = labels[:, None] if labels.ndim == 1 else labels
    return labels.expand(features.shape[0], -1)


def enlarge(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks (b n _ _) to the size of images (b 3 h w)."""
    return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)


def exact(scores: Tensor) -> Tensor:
    """Scores in float32 at least; under bf16, masks and their losses would have three digits."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
