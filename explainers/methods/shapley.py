"""FastSHAP and ViT-Shapley: Shapley values of an image's patches in one pass.

Jethani et al.: FastSHAP (https://arxiv.org/abs/2107.07436). Covert, Kim, Lee: ViT-Shapley
(https://arxiv.org/abs/2206.05282), where patches are a transformer's tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.features import require_stages
from explainers.classifier.inference import evaluating
from explainers.errors import MOST_COUNTED, InputError, require_whole
from explainers.heads.attention_head import AttentionNetwork
from explainers.heads.conditioned_head import ConditionedNetwork
from explainers.heads.decoding_head import DecodingHead, require_width
from explainers.heads.patch_values import PatchValueNetwork
from explainers.training.distributed import count, first_of, of_all
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masked_answers import MaskedAnswers
from explainers.training.masked_surrogate import load_surrogate
from explainers.training.masking_network import MaskingNetwork
from explainers.training.shapley_regression import kernel_subsets, regression_error

FASTSHAP = Paper(
    "jethani2022fastshap",
    "FastSHAP: Real-Time Shapley Value Estimation",
    "Jethani, Neil and Sudarshan, Mukund and Covert, Ian and Lee, Su-In and Ranganath, Rajesh",
    "2107.07436",
)
VIT_SHAPLEY = Paper(
    "covert2023vitshapley",
    "Learning to Estimate Shapley Values with Vision Transformers",
    "Covert, Ian and Kim, Chanwoo and Lee, Su-In",
    "2206.05282",
)


class ShapleyExplainer(LearnedExplainer):
    """Explains a classifier by the Shapley values of patches, which sum to what the image adds.

    A set of patches is worth the probability of the class where the others are removed, and the
    values sum to the probability on the whole image less that on none of it. Training minimises
    the squared error of the worths of random sets; it takes forward passes only. Scores are
    signed: of the patch that a pixel lies in, enlarged bilinearly; `patch_values` has them as they
    are.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        surrogate: folder of a masked-input surrogate (`explainers judge`), which tells what sets
            are worth; by default the classifier itself does, which has never seen removed patches.
            A bundle does not need it.
        removal: `black` pixels, or `tokens` of a transformer that are dropped.
        cells: patches on each side; a transformer whose tokens are dropped has its own.
        stages: which of the classifier's stages to read, finest first, the last being what it
            pools.
        conditioned: draw the values of a class from its row in the last layer, by convolutions;
            otherwise learn a row of weights for each class.
        width: of these convolutions, a multiple of 8.
        subsets: sets an image in each step, an even number: half of them are drawn, and the others
            are their complements.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: a number is out of its range, or the surrogate is of other weights or of
            another removal.
        ArchitectureError: `tokens`, and the classifier is no transformer with one sequence of
            tokens.
    """

    title = "Amortised Shapley values (FastSHAP, ViT-Shapley)"
    papers = (FASTSHAP, VIT_SHAPLEY)
    signed = True
    draws_masks = False
    network: PatchValueNetwork

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        surrogate: str | None = None,
        removal: str = "black",
        cells: int = 14,
        stages: Sequence[int] = (-1,),
        conditioned: bool = True,
        width: int = 64,
        subsets: int = 32,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        require_whole("subsets", subsets, 2, MOST_COUNTED)
        if subsets % 2:
            raise InputError(
                f"subsets must be even, as each comes with its complement, got {subsets}; "
                f"{subsets + 1} is"
            )
        require_width("width", width)
        chosen = list(stages)
        require_stages(self.classifier.stages, chosen)
        channels = [self.classifier.stages[stage].channels for stage in chosen]
        worth = (
            self.classifier
            if surrogate is None
            else load_surrogate(surrogate, self.classifier, removal)
        )
        self.answers = MaskedAnswers(worth, removal, cells)
        scores: MaskingNetwork
        if conditioned:
            head = DecodingHead(channels, width)
            scores = ConditionedNetwork(self.classifier, chosen, head)
        else:
            scores = AttentionNetwork(
                self.classifier, chosen, self.classifier.num_classes, bias=True
            )
        self.network = PatchValueNetwork(scores, self.answers)
        self.subsets = subsets
        self.start_from(init_from, freeze_taken)

    def target_classes(self, labels: Tensor) -> Tensor:
        """The classes of all processes' batches, and as many random ones (1 2n)."""
        known = of_all(labels)
        generator = torch.Generator().manual_seed(self.global_step)
        others = torch.randint(self.classifier.num_classes, known.shape, generator=generator)
        return torch.cat([known, others.to(known)])[None]

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Squared error of the worths of sets of patches, times the number of patches."""
        subsets = self._subsets(labels, masks.shape[2:]).to(images.device)
        classes = self.target_classes(labels).expand(len(images), -1)
        decision = self.classifier.decision
        answers = decision.probabilities(self.answers.on_subsets(images, subsets))  # (b s classes)
        index = classes[:, None].expand(-1, subsets.shape[1], -1)
        worths = answers.gather(2, index).mT - self.network.empty[classes][..., None]
        return {"regression": masks[0, 0].numel() * regression_error(masks, subsets, worths)}

    def _subsets(self, labels: Tensor, grid: Sequence[int]) -> Tensor:
        """Sets of patches (b s r c), by the step and the position in all processes' batches."""
        generator = torch.Generator().manual_seed(self.global_step)
        players = grid[0] * grid[1]
        drawn = kernel_subsets(count() * len(labels), self.subsets // 2, players, generator)
        first = first_of(labels)
        subsets: Tensor = drawn[first : first + len(labels)].unflatten(2, tuple(grid))
        return subsets

    @torch.no_grad()
    def patch_values(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        """Shapley values of the patches; arguments and errors as of `forward`.

        Returns:
            Values (b r c), which sum to the probability of the class less that where no patch is
            kept (`network.empty`).
        """
        target = self.resolve_target(images, target)
        with evaluating(self):
            return self.network.score(self.network.read(images), target)[:, 0]
