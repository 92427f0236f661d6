"""TAME and T-TAME: a head on three depths of the very network that it explains.

Ntrougkas, Gkalelis, Mezaris: TAME (https://arxiv.org/abs/2301.07407), for convolutional networks,
and T-TAME (https://arxiv.org/abs/2403.04523), for transformers too.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.classifier.tokens.transformer import PRE_NORM_BLOCKS
from explainers.errors import InputError, require_known, require_number
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

TOKENS = ("norm1", "norm")


class TAMENetwork(AttentionNetwork):
    """The classifier's features after max-pools, or the inputs of its blocks, and their head.

    Args:
        backbone: the classifier.
        stages: which of its stages, in the order of the head's branches.
        tokens: as `TAME` takes it.
        normalisation: as `MaskingNetwork` takes it.

    Raises:
        InputError: the tokens are unknown, or the first block's input is asked for.
    """

    def __init__(
        self, backbone: FrozenClassifier, stages: Sequence[int], tokens: str, normalisation: str
    ) -> None:
        require_known("tokens", tokens, TOKENS)
        super().__init__(
            backbone, stages, backbone.num_classes, bias=True, normalisation=normalisation
        )
        self.tokens = tokens
        if 0 in self._blocks():
            raise InputError(
                f"stage 0 of {backbone.name} is its first block, whose input no stage hands out; "
                "choose later stages, or tokens: norm"
            )

    def _blocks(self) -> list[int | None]:
        """The block whose normalised input each stage stands for; None where it does not."""
        blocks: Any = getattr(self.backbone.model, "blocks", ())
        if self.tokens == "norm" or not (len(blocks) and isinstance(blocks[-1], PRE_NORM_BLOCKS)):
            return [None] * len(self.stages)
        positions = [stage % len(self.backbone.stages) for stage in self.stages]
        return [position if position < len(blocks) else None for position in positions]

    @property
    def read_stages(self) -> list[int]:
        """The stages themselves, or those before them, whose outputs are the blocks' inputs."""
        return [
            stage if block is None else block - 1
            for stage, block in zip(self.stages, self._blocks(), strict=True)
        ]

    @property
    def final_norm(self) -> bool:
        """Blocks' inputs do not pass through the final norm."""
        return self._blocks() == [None] * len(self.stages)

    def adapt(self, features: list[Tensor]) -> list[Tensor]:
        """Pool or normalise features (b channels _ _) as the layers after their stages do."""
        return [
            one if layer is None else layer(one)
            for layer, one in zip(self._layers(), features, strict=True)
        ]

    def _layers(self) -> list[Callable[[Tensor], Tensor] | None]:
        """The max-pool or the block's norm that follows what is read of each stage."""
        model: Any = self.backbone.model
        return [
            pool_after(self.backbone, stage)
            if block is None
            else partial(normalise_channels, model.blocks[block].norm1)
            for stage, block in zip(self.stages, self._blocks(), strict=True)
        ]


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
        variation_corners_twice: count the corners twice among these, as published.
        threshold_weight: weight of the random-threshold objective (ours), which trains the order
            of the pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the mask.
        tokens: what stands for a transformer's block (of ViT, BEiT or EVA): `norm1`, as published,
            its input, normalised as its attention reads it; or `norm`, its output, by the
            transformer's final norm.
        normalisation: of the map: `sigmoid`, as in training, which keeps maps of classes that an
            image does not show low; or `minmax`, the published one, of the scores before it.
        lr: peak learning rate of the one-cycle schedule.
        bias_lr_factor: the learning rate of biases is so many times `lr`: 2 as published for
            TAME, 1 for T-TAME.
        weight_decay: of SGD, on all but biases.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.
    """

    title = "TAME, or T-TAME on a transformer"
    papers = (TAME_PAPER, T_TAME)
    earlier_settings: ClassVar[dict[str, Any]] = {"normalisation": "sigmoid", "tokens": "norm"}

    def __init__(
        self,
        classifier: ClassifierSource = "vgg16",
        stages: Sequence[int] | None = None,
        classification_weight: float = 1.5,
        area_weight: float = 2.0,
        area_power: float = 0.3,
        variation_weight: float = 125.44,
        variation_border: float = 0.3,
        variation_corners_twice: bool = True,
        threshold_weight: float = 0.0,
        threshold_temperature: float = 0.1,
        tokens: str = "norm1",
        normalisation: str = "sigmoid",
        lr: float = 1e-3,
        bias_lr_factor: float = 2.0,
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
        chosen = list(stages) if stages is not None else last_three(self.classifier)
        require_stages(self.classifier.stages, chosen)
        self.network = TAMENetwork(self.classifier, chosen, tokens, normalisation)
        self.start_from(init_from, freeze_taken)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The masking objective of the TAME family."""
        return self.objective.losses(self.classifier, images, labels, masks, self.global_step)

    def build_optimizer(self) -> Optimizer:
        """SGD without weight decay on biases."""
        return sgd(self.named_parameters(), self.lr, self.weight_decay, self.bias_lr_factor)


def normalise_channels(norm: nn.Module, maps: Tensor) -> Tensor:
    """Apply a norm of tokens to every place of maps (b channels _ _)."""
    normed: Tensor = norm(maps.permute(0, 2, 3, 1))
    return normed.permute(0, 3, 1, 2)


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
    listed = getattr(model, "feature_info", ())
    if stage % len(backbone.stages) >= len(listed):
        return None
    chain_name, _, position = listed[stage % len(backbone.stages)]["module"].rpartition(".")
    chain = model.get_submodule(chain_name)
    if not (isinstance(chain, nn.Sequential) and position.isdecimal()):
        return None
    following = chain[int(position) + 1 : int(position) + 2]
    return next((layer for layer in following if isinstance(layer, nn.MaxPool2d)), None)
