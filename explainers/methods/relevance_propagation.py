"""RP: attention of all blocks, weighted by its gradient and multiplied through.

Generic Attention-model Explainability (https://arxiv.org/abs/2103.15679), for self-attention.
"""

import torch
from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.methods.vit.self_attention import RecordAttention
from explainers.methods.vit.token_explainer import TokenExplainer


class RelevancePropagation(TokenExplainer):
    """Relevance of the patches to the class token: R = I, then R <- R + A R block by block.

    A is the mean over the heads of the positive part of dA * A. Where a head reads several tokens
    (DeiT's two, the mean of the patches), it is the mean of their rows. Scores are 0 or more.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        cosine: for references; see `TokenExplainer`.

    Raises:
        ArchitectureError: the classifier is no transformer, or its head does not read a token, or
            the mean of some.
    """

    title = "Relevance propagation"
    papers = (
        Paper(
            "chefer2021generic",
            "Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder "
            "Transformers",
            "Chefer, Hila and Gur, Shir and Wolf, Lior",
            "2103.15679",
        ),
    )
    export_obstacle = "takes a gradient for each image"

    def __init__(self, classifier: ClassifierSource, cosine: bool = False) -> None:
        super().__init__(classifier, cosine)
        self.rows = self.transformer.rows

    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b 1 n) of images (b 3 h w)."""
        model = self.transformer.model
        with RecordAttention() as recorded:
            tokens = model.forward_features(self.transformer.prepare(images))
        weights = recorded.of(model.blocks)
        gradients = torch.autograd.grad(self.value(tokens, target).sum(), weights)
        # Only some rows of (I + A_L) … (I + A_1) are wanted: they are multiplied from the left.
        start = torch.eye(tokens.shape[1]).to(tokens)[self.rows].mean(dim=0, keepdim=True)
        rows = start.expand(len(tokens), 1, -1)
        for attention, gradient in zip(reversed(weights), reversed(gradients), strict=True):
            rows = rows + rows @ (gradient * attention.detach()).clamp(min=0).mean(dim=1)
        return rows[..., self.transformer.prefix :]
