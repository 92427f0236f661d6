"""Grad-CAM (https://arxiv.org/abs/1610.02391) of the similarity of two embeddings."""

import torch
from torch import Tensor

from explainers.citation import GRAD_CAM
from explainers.methods.similarity.similarities import METRICS
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


class SimilarityGradCAM(SimilarityExplainer):
    """Grad-CAM of the similarity of an image and a reference.

    A channel's weight w_k is the mean over its positions of the gradient of the similarity; scores
    are relu(sum_k w_k A_k). For an image compared with itself, the cosine and the distance
    are at their maximum, so the gradient, and the map but for rounding, is zero.
    """

    title = "Grad-CAM of the similarity"
    papers = (GRAD_CAM,)

    def score_maps(self, maps: Tensor, references: Tensor) -> Tensor:
        """Weight the channels; see `SimilarityExplainer`."""
        with torch.enable_grad():
            leaf = maps.detach().requires_grad_()
            similarity = METRICS[self.metric](self.head(self.pool.pooled(leaf)), references)
            (gradients,) = torch.autograd.grad(similarity.sum(), leaf)
        weights = gradients.mean(dim=(2, 3), keepdim=True)
        return (weights * maps).sum(dim=1, keepdim=True).relu()
