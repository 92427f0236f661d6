"""AM: attention of the last block of a vision transformer, the same for every class.

A comparator in the CDAM paper (https://arxiv.org/abs/2312.02364).
"""

import torch
from torch import Tensor

from explainers.classifier import ClassifierSource
from explainers.methods.cdam import CDAM
from explainers.methods.vit.self_attention import RecordAttention
from explainers.methods.vit.token_explainer import TokenExplainer


class AttentionMap(TokenExplainer):
    """Attention of the class token to the patches in the last block, mean over the heads.

    The same for every target. Where a head reads several tokens (DeiT's two, the mean of the
    patches), it is the mean of what they attend to. Scores are shares of 1.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.

    Raises:
        ArchitectureError: the classifier is no transformer of pre-norm blocks, or its head does
            not read a token, or the mean of some.
    """

    title = "Attention map"
    papers = CDAM.papers
    export_obstacle = (
        "reads the network's attention from outside, and answers alike for all classes"
    )
    reads_target = False

    def __init__(self, classifier: ClassifierSource) -> None:
        super().__init__(classifier)
        self.transformer.require_pre_norm()
        self.rows = self.transformer.rows

    @torch.no_grad()
    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b 1 n) of images (b 3 h w)."""
        last = self.transformer.last_block(images)
        with RecordAttention() as recorded:
            last.attend(last.normed(last.inputs))
        (weights,) = recorded.of(self.transformer.model.blocks[-1:])
        scores: Tensor = weights.mean(dim=1)[:, self.rows].mean(dim=1, keepdim=True)
        return scores[..., self.transformer.prefix :]
