"""FAM: feature maps weighted by each channel's contribution to the similarity of two embeddings.

Feature Activation Map: Visual Explanation of Deep Learning Models for Image Classification
(https://arxiv.org/abs/2307.05017).
"""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor, nn

from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.errors import InputError, require_known, require_number
from explainers.methods.similarity.pooling import over_positions, per_channel
from explainers.methods.similarity.similarities import lengths
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


def _min_max(values: Tensor) -> Tensor:
    low, high = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
    # Of equal ones, as of the distance of an image to itself, each counts as the largest.
    return torch.where(high > low, (values - low) / torch.where(high > low, high - low, 1), 1)


def _l1(values: Tensor) -> Tensor:
    total = values.abs().sum(dim=1, keepdim=True)
    return values / total.clamp(min=torch.finfo(values.dtype).tiny)


def _relu_l1(values: Tensor) -> Tensor:
    return _l1(values.relu())


def _logits(values: Tensor) -> Tensor:
    """Scale values (b k) so that the largest in size weighs k times what 0 does, after softmax.

    Then it is neither lost among all the channels that add nothing, nor alone, whatever their
    number and the unit of the contributions.
    """
    largest = values.abs().amax(dim=1, keepdim=True)
    return log(values.shape[1]) * values / largest.clamp(min=torch.finfo(values.dtype).tiny)


def _same(values: Tensor) -> Tensor:
    return values


WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "minmax": _min_max,
    "l1": _l1,
    "relu_l1": _relu_l1,
    "softmax": lambda values: values.softmax(dim=1),
    "none": _same,
}
"""Normalisations of the channels' contributions (b k) into weights (b k), by name."""


class FAM(SimilarityExplainer):
    """Sum of feature maps A_k, each weighted by its channel's contribution to the similarity.

    With pooled features f and a reference g, a channel contributes c_k = f_k g_k / (|f| |g|) to
    the cosine, f_k g_k to the dot product, and -(f_k - g_k)^2 to minus the squared distance: the
    c_k add up to the similarity. The paper's abstract fixes that weights come from the similarity
    of two embeddings and are normalised; which formula and which normalisation is not public, so
    this is a reconstruction.

    `plain` weights A_k by the normalised c_k, which counts the image's strong channels twice;
    scores are the positive part of the sum. `decomposition` weights by c_k / f_k, so that the mean
    of the scores over the positions is the similarity itself; they are signed.

    Through a head, g is pulled back: c_k = f_k d(p . g)/df_k / (|p| |g|), with p = head(f) and the
    lengths held constant. For a linear head that is W^T g (its bias belongs to no channel), for
    any other one the gradient at the pooled features; where head(s f) = s head(f), the c_k still
    add up to the similarity.

    Args:
        classifier: the network that embeds; see `FrozenClassifier.of`.
        weights: `plain` or `decomposition`.
        normalisation: of plain weights, a key of `WEIGHTS`.
        temperature: of the softmax. At 1 the channel of the largest contribution weighs as much as
            k channels that contribute nothing; lower it to single channels out.
        metric: the similarity of embeddings, a key of `similarities.METRICS`.
        pool: pooling of feature maps into an embedding, a key of `pooling.POOLS`.
        stage: which of the classifier's `stages` is pooled.
        head: as for `SimilarityExplainer`.

    Raises:
        InputError: a name is unknown, the temperature is not positive, or the distance is asked
            for with a head, a decomposition, or a normalisation that keeps its sign.
    """

    title = "FAM"
    papers = (
        Paper(
            "liao2023fam",
            "Feature Activation Map: Visual Explanation of Deep Learning Models for Image "
            "Classification",
            "Liao, Yi and Gao, Yongsheng and Zhang, Weichuan",
            "2307.05017",
        ),
    )

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        weights: str = "plain",
        normalisation: str = "minmax",
        temperature: float = 1.0,
        metric: str = "cosine",
        pool: str = "mean",
        stage: int = -1,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__(classifier, metric, pool, stage, head)
        require_known("weights", weights, ["plain", "decomposition"])
        require_known("normalisation", normalisation, WEIGHTS)
        require_number("temperature", temperature, above=0)
        if metric == "euclidean" and (head is not None or weights == "decomposition"):
            raise InputError(
                "the euclidean metric compares features one by one and is not linear in them, so "
                "there is neither a head nor a decomposition for it; choose cosine or dot"
            )
        if metric == "euclidean" and normalisation not in ("minmax", "softmax"):
            raise InputError(
                "contributions to minus a distance are never positive, and normalisation "
                f"{normalisation!r} leaves them so; choose minmax or softmax"
            )
        self.weights = weights
        self.normalisation = normalisation
        self.temperature = temperature
        self.signed = weights == "decomposition"

    def contributions(self, maps: Tensor, references: Tensor) -> Tensor:
        """Contributions (b k) of the channels of feature maps (b k _ _) to the similarity."""
        pooled = self.pool.pooled(maps)
        if self.metric == "euclidean":
            return per_channel(-(pooled - references).square(), maps)
        return per_channel(pooled * self._pulled_back(pooled, references), maps)

    def score_maps(self, maps: Tensor, references: Tensor) -> Tensor:
        """Sum the weighted maps; see `SimilarityExplainer`."""
        if self.weights == "decomposition":
            weights = self._pulled_back(self.pool.pooled(maps), references)
            return (over_positions(weights, maps) * self.pool.located(maps)).sum(1, keepdim=True)
        return self._weighted(maps, self.contributions(maps, references))

    def partner_maps(self, partners: Tensor, maps: Tensor, references: Tensor) -> Tensor:
        """Weight the partners' maps as the image's own; a decomposition swaps the roles instead."""
        if self.weights == "decomposition":
            return super().partner_maps(partners, maps, references)
        return self._weighted(partners, self.contributions(maps, references))

    def _weighted(self, maps: Tensor, contributions: Tensor) -> Tensor:
        if self.normalisation == "softmax":
            contributions = _logits(contributions) / self.temperature
        weights = WEIGHTS[self.normalisation](contributions)
        return (weights[..., None, None] * maps).sum(dim=1, keepdim=True).relu()

    def _pulled_back(self, pooled: Tensor, references: Tensor) -> Tensor:
        """References (b d) pulled back to the pooled features (b d), divided by the lengths."""
        with torch.enable_grad():
            leaf = pooled.detach().requires_grad_()
            embeddings = self.head(leaf)
            (pulled,) = torch.autograd.grad((embeddings * references).sum(), leaf)
        if self.metric == "dot":
            return pulled
        return pulled / lengths(embeddings.detach(), references)[:, None]
