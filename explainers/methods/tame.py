"""TAME and T-TAME: a head on three depths of the very network that it explains.

Ntrougkas, Gkalelis, Mezaris: TAME (https://arxiv.org/abs/2301.07407), for convolutional networks,
and T-TAME (https://arxiv.org/abs/2403.04523), for transformers too.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.heads.attention_head import AttentionNetwork, default_stages
from explainers.training import LearnedExplainer
from explainers.training.masking_objective import MaskingObjective
from explainers.training.optimisers import sgd

TAME_PAPER = Paper(
    "ntrougkas2023tame",
    "TAME: Attention Mechanism Based Feature Fusion for Generating Explanation Maps of "
    "Convolutional Neural Networks",
    "Ntrougkas, Mariano and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2301.07407",
)
T_TAME = Paper(
    "ntrougkas2024ttame",
    "T-TAME: Trainable Attention Mechanism for Explaining Convolutional Networks and Vision "
    "Transformers",
    "Ntrougkas, Mariano V. and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2403.04523",
)


class TAMENetwork(AttentionNetwork):
    """Features of the classifier, where a max-pool follows a stage after it, and their head."""

    def adapt(self, features: list[Tensor]) -> list[Tensor]:
        """Pool the features (b channels _ _) of each stage that a max-pool follows."""
        pools = [pool_after(self.backbone, stage) for stage in self.stages]
        return [pool(one) if pool else one for pool, one in zip(pools, features, strict=True)]


class TAME(LearnedExplainer):
    """Explains a classifier through its own features of three depths; T-TAME on a transformer.

    The defaults are those published for VGG-16.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        stages: which of its stages to read, shallowest first; by default the last three at
            different strides (ResNet's layer2 to layer4), after their max-pools where these end
            the stages (VGG), or a transformer's last three blocks.
        classification_weight: weight of the cross entropy with the predicted class.
        area_weight: weight of the masks' area; raise it if masks flood the image.
        area_power: under 1, pushes the mask's values to 0 and 1.
        variation_weight: weight of `losses.variation`: the published 0.01 times
            `losses.published_variation_factor` of 32 images and masks of 28 x 28 pixels.
        variation_border: weight of the pixels at the image's border, within the above.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of SGD, on all but biases.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.
    """

    title = "TAME, or T-TAME on a transformer"
    papers = (TAME_PAPER, T_TAME)
    # That the schedule cycles it is published for P-TAME only.
    cycle_momentum = False

    def __init__(
        self,
        classifier: ClassifierSource = "vgg16",
        stages: Sequence[int] | None = None,
        classification_weight: float = 1.5,
        area_weight: float = 2.0,
        area_power: float = 0.3,
        variation_weight: float = 125.44,
        variation_border: float = 0.3,
        lr: float = 1e-3,
        weight_decay: float = 5e-4,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        self.objective = MaskingObjective(
            classification_weight, area_weight, area_power, variation_weight, variation_border
        )
        chosen = list(stages) if stages is not None else last_three(self.classifier)
        self.network = TAMENetwork(self.classifier, chosen, self.classifier.num_classes, bias=True)
        self.start_from(init_from, freeze_taken)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The masking objective of the TAME family."""
        return self.objective.losses(self.classifier, images, labels, masks)

    def build_optimizer(self) -> Optimizer:
        """SGD without weight decay on biases."""
        return sgd(self.named_parameters(), self.lr, self.weight_decay)


def last_three(backbone: FrozenClassifier) -> list[int]:
    """The last three stages that max-pools end, or else of those that P-TAME reads."""
    pooled = stages_before_pools(backbone)
    return (pooled if len(pooled) >= 3 else default_stages(backbone))[-3:]


def stages_before_pools(backbone: FrozenClassifier) -> list[int]:
    """The stages that a max-pool follows directly."""
    return [stage for stage in range(len(backbone.stages) - 1) if pool_after(backbone, stage)]


def pool_after(backbone: FrozenClassifier, stage: int) -> nn.Module | None:
    """The max-pool that a chain of layers has directly after a stage; None where it has none.

    timm reads VGG's stages before their pools, and the papers of the TAME family after them.
    """
    model: Any = backbone.model
    listed = model.feature_info
    if stage % len(backbone.stages) >= len(listed):
        return None
    chain_name, _, position = listed[stage % len(backbone.stages)]["module"].rpartition(".")
    chain = model.get_submodule(chain_name)
    if not (isinstance(chain, nn.Sequential) and position.isdecimal()):
        return None
    following = chain[int(position) + 1 : int(position) + 2]
    return next((layer for layer in following if isinstance(layer, nn.MaxPool2d)), None)
