"""P-TAME: a head on a frozen auxiliary network, trained to explain another, untouched one.

Ntrougkas, Mezaris, Patras: P-TAME (https://arxiv.org/abs/2501.17813).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.errors import InputError
from explainers.heads.attention_head import AttentionNetwork, default_stages
from explainers.training import LearnedExplainer
from explainers.training.masking_objective import MaskingObjective

# Where a network's class activation map starts as a mask: background, whose evidence for the class
# is near 0, at 14 %, and half kept at 6 logits of evidence, as on trained ImageNet networks.
CAM_GAIN = 0.3
CAM_OFFSET = -1.8

P_TAME = Paper(
    "ntrougkas2025ptame",
    "P-TAME: Explain Any Image Classifier with Trained Perturbations",
    "Ntrougkas, Mariano V. and Mezaris, Vasileios and Patras, Ioannis",
    "2501.17813",
)


class PTAME(LearnedExplainer):
    """Explains any classifier, a black box included, through the features of an auxiliary network.

    The defaults are those published for VGG-16, except that the data sets the steps.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        auxiliary: the network whose features the head reads; likewise.
        stages: which of the auxiliary's stages to read, shallowest first; by default the last one
            at each of the strides 4, 8, 16 and 32, or a transformer's last four blocks.
        cam_start: read what the auxiliary pools instead of the deepest stage, and start as its
            class activation map. Needs an auxiliary that knows the classifier's classes; learns
            from far fewer images than the published start does.
        classification_weight: weight of the cross entropy with the predicted class.
        area_weight: weight of the masks' area; raise it if masks flood the image.
        area_power: under 1, pushes the mask's values to 0 and 1.
        variation_weight: weight of `losses.variation`; a published coefficient
            is to be multiplied with `losses.published_variation_factor`.
        variation_border: weight of the pixels at the image's border, within the above.
        variation_corners_twice: count the corners twice among these, as published.
        threshold_weight: weight of the random-threshold objective (ours), which trains the order
            of the pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the mask.
        upsampling: how branches reach the finest size: `cascade`, by steps of x2 as published, or
            `direct`, in one.
        normalisation: of the map: `sigmoid`, as in training, which keeps maps of classes that an
            image does not show low; or `minmax`, the published one, of the scores before it.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.
    """

    needs = "training, an auxiliary network"
    title = "P-TAME"
    papers = (P_TAME,)
    earlier_settings: ClassVar[dict[str, Any]] = {
        "normalisation": "sigmoid",
        "upsampling": "direct",
    }

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
        variation_corners_twice: bool = True,
        threshold_weight: float = 0.0,
        threshold_temperature: float = 0.1,
        upsampling: str = "cascade",
        normalisation: str = "sigmoid",
        lr: float = 1e-4,
        weight_decay: float = 0.13324,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        self.objective = MaskingObjective(
            classification_weight,
            area_weight,
            area_power,
            variation_weight,
            variation_border,
            variation_corners_twice,
            threshold_weight,
            threshold_temperature,
        )
        backbone = FrozenClassifier.of(auxiliary)
        self.save_hyperparameters({"auxiliary": backbone.source})
        chosen = list(stages) if stages is not None else default_stages(backbone)
        require_stages(backbone.stages, chosen)
        if cam_start:
            chosen[-1] = -1
        self.network = AttentionNetwork(
            backbone,
            chosen,
            self.classifier.num_classes,
            upsampling=upsampling,
            normalisation=normalisation,
        )
        if cam_start:
            if backbone.num_classes != self.classifier.num_classes:
                raise InputError(
                    f"cam_start needs an auxiliary with the {self.classifier.num_classes} classes "
                    f"of the classifier, and {backbone.name} has {backbone.num_classes}; choose "
                    "another, or cam_start: false"
                )
            self.network.head.start_from_cam(backbone.class_weights, CAM_GAIN, CAM_OFFSET)
        self.start_from(init_from, freeze_taken)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The masking objective of the TAME family."""
        return self.objective.losses(self.classifier, images, labels, masks, self.global_step)
