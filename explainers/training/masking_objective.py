"""The objective of L-CAM, TAME and P-TAME, and the optimiser of the first two.

L-CAM: https://arxiv.org/abs/2209.11189. TAME: https://arxiv.org/abs/2301.07407. T-TAME:
https://arxiv.org/abs/2403.04523. P-TAME: https://arxiv.org/abs/2501.17813.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.images.pixel_removal import keep
from explainers.training.distributed import first_of
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.losses import area, variation
from explainers.training.masking_network import enlarge


class KeepingExplainer(LearnedExplainer):
    """Learns small and smooth masks that keep the prediction on the masked image.

    The masks of all classes of the batch are priced, so those of classes that an image does not
    show shrink. Where several processes train, the batch is all of theirs.

    Attributes:
        classification_weight: price of a lost prediction.
        area_weight: price of a large mask; raise it if masks flood the image.
        area_power: under 1, pushes the mask's values to 0 and 1.
        variation_weight: price of a ragged mask, for `losses.variation`; a published coefficient
            is to be multiplied with `losses.published_variation_factor`.
        variation_border: price of a mask that touches the image's border, within the above.
    """

    classification_weight: float
    area_weight: float
    area_power: float
    variation_weight: float
    variation_border: float

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Price a lost prediction, and large and ragged masks (P-TAME paper, section 3)."""
        own = masks.diagonal(first_of(labels), dim1=0, dim2=1).permute(2, 0, 1)[
            :, None
        ]  # (b 1 _ _)
        kept = self.classifier(keep(images, enlarge(own, images)))
        terms = {
            "classification": self.classification_weight * F.cross_entropy(kept, labels),
            "area": self.area_weight * area(masks, self.area_power),
        }
        if self.variation_weight:
            terms["variation"] = self.variation_weight * variation(masks, self.variation_border)
        return terms


class OwnFeaturesExplainer(KeepingExplainer):
    """Reads the features of the classifier itself, and is trained by SGD, as L-CAM and TAME are."""

    # That the schedule cycles it is published for P-TAME only.
    cycle_momentum = False

    def build_optimizer(self) -> torch.optim.Optimizer:
        """SGD with Nesterov momentum, and no weight decay on biases."""
        trained = [(name, one) for name, one in self.named_parameters() if one.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [one for name, one in trained if not name.endswith("bias")]},
            {"params": [one for name, one in trained if name.endswith("bias")], "weight_decay": 0},
        ]
        return torch.optim.SGD(
            groups, lr=self.lr, momentum=0.9, nesterov=True, weight_decay=self.weight_decay
        )
