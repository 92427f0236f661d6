"""The objective of L-CAM, TAME and P-TAME: small, smooth masks that keep the prediction.

L-CAM: https://arxiv.org/abs/2209.11189. TAME: https://arxiv.org/abs/2301.07407. T-TAME:
https://arxiv.org/abs/2403.04523. P-TAME: https://arxiv.org/abs/2501.17813, section 3.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.errors import require_number
from explainers.images.pixel_removal import keep
from explainers.training.distributed import first_of
from explainers.training.losses import area, variation
from explainers.training.masking_network import enlarge
from explainers.training.random_threshold import LEAST_TEMPERATURE, drawn_shares, threshold_loss


@dataclass(frozen=True)
class MaskingObjective:
    """Cross entropy on the masked image, area and variation of the masks.

    Area and variation are of the masks for all classes of the batch, so those for classes that an
    image does not show shrink. Where several processes train, the batch is all of theirs.

    Attributes:
        classification_weight: weight of the cross entropy with the predicted class.
        area_weight: weight of the masks' area; raise it if masks flood the image.
        area_power: under 1, pushes the masks' values to 0 and 1.
        variation_weight: weight of `losses.variation`; a published coefficient is to be multiplied
            with `losses.published_variation_factor`.
        variation_border: weight of the pixels at the image's border, within the above.
        variation_corners_twice: count the corners twice among these; see `losses.variation`.
        threshold_weight: weight of `random_threshold.threshold_loss`; two more passes of the
            classifier a step, unless it is 0.
        threshold_temperature: softness of its threshold, in units of the mask.

    Raises:
        InputError: a weight is negative, the power is not above 0, or one is not finite.
    """

    classification_weight: float
    area_weight: float
    area_power: float
    variation_weight: float
    variation_border: float
    variation_corners_twice: bool
    threshold_weight: float = 0.0
    threshold_temperature: float = 0.1

    def __post_init__(self) -> None:
        for name in (
            "classification_weight",
            "area_weight",
            "variation_weight",
            "variation_border",
            "threshold_weight",
        ):
            require_number(name, getattr(self, name), least=0)
        require_number("area_power", self.area_power, above=0)
        require_number("threshold_temperature", self.threshold_temperature, least=LEAST_TEMPERATURE)

    def losses(
        self,
        classifier: FrozenClassifier,
        images: Tensor,
        labels: Tensor,
        masks: Tensor,
        step: int = 0,
    ) -> dict[str, Tensor]:
        """The weighted terms; see `LearnedExplainer.losses`. Thresholds are drawn by the step."""
        own = masks.diagonal(first_of(labels), dim1=0, dim2=1).permute(2, 0, 1)  # (b _ _)
        maps = enlarge(own[:, None], images)
        logits = classifier(keep(images, maps))
        kept = classifier.decision.log_probabilities(logits)
        terms = {
            "classification": self.classification_weight * F.nll_loss(kept, labels),
            "area": self.area_weight * area(masks, self.area_power),
        }
        if self.variation_weight:
            terms["variation"] = self.variation_weight * variation(
                masks, self.variation_border, self.variation_corners_twice
            )
        if self.threshold_weight:
            shares = drawn_shares(labels, step)
            terms["threshold"] = self.threshold_weight * threshold_loss(
                classifier, images, labels, maps, shares, self.threshold_temperature
            )
        return terms
