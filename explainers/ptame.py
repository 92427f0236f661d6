"""P-TAME: a head on a frozen auxiliary network, trained to explain another, untouched one.

Ntrougkas, Mezaris, Patras: P-TAME (https://arxiv.org/abs/2501.17813).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.attention import AttentionHead
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.errors import InputError
from explainers.learned import LearnedExplainer, MaskingNetwork, enlarge
from explainers.losses import area, variation
from explainers.masking import keep

# Where a network's class activation map starts as a mask: background, whose evidence for the class
# is near 0, at 14 %, and half kept at 6 logits of evidence, as on trained ImageNet networks.
CAM_GAIN = 0.3
CAM_OFFSET = -1.8


class AttentionNetwork(MaskingNetwork):
    """The features of a frozen network, and the head that reads them."""

    def __init__(
        self, backbone: FrozenClassifier, stages: Sequence[int], num_classes: int, bias: bool
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = list(stages)
        channels = [backbone.stages[stage].channels for stage in stages]
        self.head = AttentionHead(channels, num_classes, bias)

    def masks(self, images: Tensor, labels: Tensor) -> Tensor:
        """Masks in [0, 1] at the features' own size; labels as `AttentionHead` takes them."""
        with torch.no_grad():
            features = self.backbone.features(images, self.stages)
        scores: Tensor = self.head(features, labels)
        return scores.sigmoid()


class PTAME(LearnedExplainer):
    """Explains any classifier, a black box included, through the features of an auxiliary network.

    The objective keeps the prediction on the masked image and prices large and ragged masks; the
    masks of all classes of the batch are priced, so those of classes that an image does not show
    shrink. The defaults are those published for VGG-16, except that the data sets the steps.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        auxiliary: the network whose features the head reads; likewise.
        stages: which of the auxiliary's stages to read, shallowest first; by default the last one
            at each of the strides 4, 8, 16 and 32, or a transformer's last four blocks.
        cam_start: read what the auxiliary pools instead of the deepest stage, and start as its
            class activation map. Needs an auxiliary that knows the classifier's classes; learns
            from far fewer images than the published start does.
        classification_weight: price of a lost prediction.
        area_weight: price of a large mask; raise it if masks flood the image.
        area_power: under 1, pushes the mask's values to 0 and 1.
        variation_weight: price of a ragged mask, for `losses.variation`; a published coefficient
            is to be multiplied with `losses.published_variation_factor`.
        variation_border: price of a mask that touches the image's border, within the above.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        classifier: ClassifierSource = "vgg16",
        auxiliary: ClassifierSource = "resnet18",
        stages: Sequence[int] | None = None,
        cam_start: bool = False,
        classification_weight: float = 0.07278,
        area_weight: float = 0.977712,
        area_power: float = 0.3,
        variation_weight: float = 5.0176,
        variation_border: float = 0.3,
        lr: float = 1e-4,
        weight_decay: float = 0.13324,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        backbone = FrozenClassifier.of(auxiliary)
        self.save_hyperparameters({"auxiliary": backbone.source})
        chosen = list(stages) if stages is not None else default_stages(backbone)
        if cam_start:
            chosen[-1] = -1
        self.network = AttentionNetwork(backbone, chosen, self.classifier.num_classes, bias=False)
        if cam_start:
            if backbone.num_classes != self.classifier.num_classes:
                raise InputError(
                    f"cam_start needs an auxiliary with the {self.classifier.num_classes} classes "
                    f"of the classifier, and {backbone.name} has {backbone.num_classes}; choose "
                    "another, or cam_start: false"
                )
            self.network.head.start_from_cam(backbone.class_weights, CAM_GAIN, CAM_OFFSET)
        self.classification_weight = classification_weight
        self.area_weight = area_weight
        self.area_power = area_power
        self.variation_weight = variation_weight
        self.variation_border = variation_border

    def losses(self, images: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Price a lost prediction, and large and ragged masks (paper, section 3)."""
        own = masks.diagonal(dim1=0, dim2=1).permute(2, 0, 1)[:, None]  # (b 1 _ _)
        logits = self.classifier(keep(images, enlarge(own, images)))
        terms = {
            "classification": self.classification_weight * F.cross_entropy(logits, labels),
            "area": self.area_weight * area(masks, self.area_power),
        }
        if self.variation_weight:
            terms["variation"] = self.variation_weight * variation(masks, self.variation_border)
        return terms


def default_stages(backbone: FrozenClassifier) -> list[int]:
    """The last stage at each of the strides 4 to 32, or a transformer's last four blocks."""
    listed = backbone.stages[:-1]
    last_at = {stage.reduction: index for index, stage in enumerate(listed) if stage.reduction >= 4}
    if len(last_at) > 1:
        return sorted(last_at.values())
    return list(range(len(listed)))[-4:]
