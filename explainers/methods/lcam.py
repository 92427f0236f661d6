"""L-CAM: one row of weights a class on the last feature maps of the network that it explains.

Gkartzonika, Gkalelis, Mezaris: L-CAM (https://arxiv.org/abs/2209.11189).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.errors import require_number
from explainers.heads.attention_head import AttentionNetwork
from explainers.methods.tame import stages_before_pools
from explainers.training import LearnedExplainer
from explainers.training.masking_objective import MaskingObjective
from explainers.training.optimisers import exponential, sgd

L_CAM = Paper(
    "gkartzonika2022lcam",
    "Learning Visual Explanations for DCNN-Based Image Classifiers Using an Attention Mechanism",
    "Gkartzonika, Ioanna and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2209.11189",
)


class LCAM(LearnedExplainer):
    """Explains a classifier by a learned class activation map of its last features.

    The defaults are those published for VGG-16.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        stages: which of its stages to read; by default what it pools for its decision, or what
            its last max-pool reads where max-pools end its stages (VGG).
        classification_weight: weight of the cross entropy with the predicted class.
        area_weight: weight of the masks' area; raise it if masks flood the image.
        area_power: under 1, pushes the mask's values to 0 and 1.
        variation_weight: weight of `losses.variation`: the published 0.01 times
            `losses.published_variation_factor` of 64 images and masks of 14 x 14 pixels.
        variation_border: weight of the pixels at the image's border, within the above.
        variation_corners_twice: count the corners twice among these, as published.
        threshold_weight: weight of the random-threshold objective (ours), which trains the order
            of the pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the mask.
        normalisation: of the map: `sigmoid`, as in training, which keeps maps of classes that an
            image does not show low; or `minmax`, the published one, of the scores before it.
        lr: learning rate of the first epoch.
        bias_lr_factor: the learning rate of biases is so many times `lr`.
        lr_decay_per_epoch: factor of the learning rates after each epoch.
        weight_decay: of SGD, on biases too.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.
    """

    title = "L-CAM"
    papers = (L_CAM,)
    earlier_settings: ClassVar[dict[str, Any]] = {"normalisation": "sigmoid"}

    def __init__(
        self,
        classifier: ClassifierSource = "vgg16",
        stages: Sequence[int] | None = None,
        classification_weight: float = 1.5,
        area_weight: float = 2.0,
        area_power: float = 0.3,
        variation_weight: float = 62.72,
        variation_border: float = 0.3,
        variation_corners_twice: bool = True,
        threshold_weight: float = 0.0,
        threshold_temperature: float = 0.1,
        normalisation: str = "sigmoid",
        lr: float = 1e-2,
        bias_lr_factor: float = 2.0,
        lr_decay_per_epoch: float = 0.75,
        weight_decay: float = 5e-4,
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
        require_number("bias_lr_factor", bias_lr_factor, least=0)
        self.bias_lr_factor = bias_lr_factor
        require_number("lr_decay_per_epoch", lr_decay_per_epoch, above=0)
        self.lr_decay_per_epoch = lr_decay_per_epoch
        chosen = list(stages) if stages is not None else [last_convolution(self.classifier)]
        require_stages(self.classifier.stages, chosen)
        self.network = AttentionNetwork(
            self.classifier,
            chosen,
            self.classifier.num_classes,
            bias=True,
            branch=nn.Identity,
            normalisation=normalisation,
        )
        self.start_from(init_from, freeze_taken)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The masking objective of the TAME family."""
        return self.objective.losses(self.classifier, images, labels, masks, self.global_step)

    def build_optimizer(self) -> Optimizer:
        """SGD with a learning rate of their own for biases."""
        return sgd(
            self.named_parameters(),
            self.lr,
            self.weight_decay,
            self.bias_lr_factor,
            decay_biases=True,
        )

    def build_schedule(self, optimizer: Optimizer) -> dict[str, Any]:
        """Learning rates that fall after each epoch."""
        return {"scheduler": exponential(optimizer, self.lr_decay_per_epoch), "interval": "epoch"}


def last_convolution(backbone: FrozenClassifier) -> int:
    """The stage before the last max-pool of a VGG, or else what is pooled for the decision."""
    pooled = stages_before_pools(backbone)
    return pooled[-1] if len(pooled) >= 3 else -1
