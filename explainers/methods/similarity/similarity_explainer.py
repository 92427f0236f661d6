"""Base of methods that explain the similarity of two embeddings: FAM and its comparators."""

from abc import abstractmethod
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.base import Explainer
from explainers.classifier import ClassifierSource
from explainers.classifier.features import require_stages
from explainers.classifier.targets import require_as_many, require_references
from explainers.errors import TargetError, require_known
from explainers.methods.similarity.pooling import POOLS
from explainers.methods.similarity.similarities import METRICS


class SimilarityExplainer(Explainer):
    """Scores the pixels of an image by their contribution to its similarity to a reference.

    A target is reference embeddings (b d), as `embed` makes them of a support image, another view
    or a gallery image; the mean of several is a class's prototype. Class labels are refused.

    Args:
        classifier: the network that embeds; see `FrozenClassifier.of`.
        metric: the similarity of embeddings, a key of `METRICS`.
        pool: pooling of feature maps into an embedding, a key of `pooling.POOLS`.
        stage: which of the classifier's `stages` is pooled; of a transformer, the patch tokens.
        head: a projection of pooled features to the embeddings that are compared, such as
            SimCLR's; frozen here, and no hyperparameter. None compares what is pooled.

    Raises:
        InputError: a name is unknown.
    """

    needs = "reference images"
    export_obstacle = "explains embeddings of reference images, and the graph takes classes"

    def __init__(
        self,
        classifier: ClassifierSource,
        metric: str = "cosine",
        pool: str = "mean",
        stage: int = -1,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__(classifier)
        require_known("metric", metric, METRICS)
        require_known("pool", pool, POOLS)
        self.metric = metric
        self.pool = POOLS[pool]
        require_stages(self.classifier.stages, [stage], "stage")
        self.stage = stage
        self.head = nn.Identity() if head is None else head.requires_grad_(False)
        self.head.eval()

    @abstractmethod
    def score_maps(self, maps: Tensor, references: Tensor) -> Tensor:
        """Score the positions (b 1 _ _) of feature maps (b k _ _), for references (b d)."""

    def partner_maps(self, partners: Tensor, maps: Tensor, references: Tensor) -> Tensor:
        """Score the positions of the references' own feature maps; by default in swapped roles.

        Args:
            partners: feature maps (b k _ _) of the reference images.
            maps: those of the explained images (b k _ _).
            references: (b d), which a partner may be only one of several parts of.
        """
        return self.score_maps(partners, self.head(self.pool.pooled(maps)))

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the positions, and interpolate bilinearly to the images' size."""
        maps = self.feature_maps(images)
        return _enlarged(self._scored(maps, target), images)

    def pair(
        self, images: Tensor, partners: Tensor, target: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores of both images of a pair.

        Args:
            images: (b 3 h w), RGB in [0, 1].
            partners: the images (b 3 _ _) that each is compared with, or one of those whose mean
                embedding it is compared with.
            target: the references (b d); by default the partners' embeddings.

        Returns:
            Scores of the images (b 1 h w) and of the partners (b 1 _ _), float32.
        """
        maps, others = self.feature_maps(images), self.feature_maps(partners)
        target = self._embedded(others) if target is None else target
        target = self.resolve_target(images, target)
        scores = self._scored(maps, target)
        with torch.inference_mode(False):
            partner_scores = self.partner_maps(others, maps, target.clone().to(maps))
        return _enlarged(scores, images).float(), _enlarged(partner_scores, partners).float()

    def embed(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to the embeddings (b d) that are compared."""
        return self._embedded(self.feature_maps(images))

    def similarity(self, images: Tensor, target: Tensor) -> Tensor:
        """Similarity (b) of images (b 3 h w) to the references (b d)."""
        return METRICS[self.metric](self.embed(images), target)

    @torch.no_grad()
    def feature_maps(self, images: Tensor) -> Tensor:
        """Feature maps (b k _ _) of images (b 3 h w) in [0, 1], before pooling."""
        # Tensors of inference mode carry no gradient, which heads need.
        with (
            torch.inference_mode(False),
            torch.autocast(images.device.type, enabled=False),
        ):
            return self.classifier.features(images.detach().clone(), [self.stage])[0]

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """Take references (b d), which are compared with the embedding when there is one.

        Raises:
            InputError: there is not one an image.
            TargetError: the target is a class, or nothing.
        """
        if target is not None:
            require_as_many(images, target)
        if target is None or not target.is_floating_point():
            raise TargetError(
                f"{type(self).__name__} explains reference embeddings, not class labels; pass "
                "explainer.embed(images to compare with) as target (--reference, --gallery)"
            )
        return target

    def train(self, mode: bool = True) -> Self:
        """Keep the head in eval mode, as the classifier is."""
        super().train(mode)
        self.head.eval()
        return self

    def _scored(self, maps: Tensor, target: Tensor) -> Tensor:
        width = self._embedded(maps[:1]).shape[1]
        require_references(maps, target, width, self.classifier.name)
        with torch.inference_mode(False):
            return self.score_maps(maps, target.detach().clone().to(maps))

    @torch.no_grad()
    def _embedded(self, maps: Tensor) -> Tensor:
        with torch.inference_mode(False):
            embeddings: Tensor = self.head(self.pool.pooled(maps))
            return embeddings


def _enlarged(scores: Tensor, images: Tensor) -> Tensor:
    return F.interpolate(scores, images.shape[-2:], mode="bilinear", align_corners=False)
