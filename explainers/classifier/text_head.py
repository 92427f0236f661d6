"""The last layer of a classifier whose classes are texts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TextHead(nn.Module):
    """Logits of texts: cosines of an image's embedding with theirs, times a scale.

    The texts' embeddings are no weights: they are not saved, and can be changed at any time.

    Args:
        width: of embeddings.
        scale: factor of the cosines.
        offset: added to all logits.
        projection: linear map from pooled features (b channels) to embeddings (b d), the identity
            where these are the same; None where there is no such map, so that a text has no row of
            weights for the pooled features.
        embedded: the layer is given the embeddings themselves, and the projection is that of what
            is pooled by attention.

    Attributes:
        texts: embeddings (classes d) of length 1.
    """

    texts: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        width: int,
        scale: float,
        offset: float,
        projection: nn.Linear | nn.Identity | None = None,
        embedded: bool = False,
    ) -> None:
        super().__init__()
        self.projection = projection
        self.embedded = embedded or projection is None
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("offset", torch.tensor(offset))
        self.register_buffer("texts", torch.zeros(0, width), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map pooled features (b channels), or embeddings (b d), to logits (b classes)."""
        return self._logits(features) if self.embedded else self.of_pooled(features)

    def of_pooled(self, pooled: Tensor) -> Tensor:
        """Map pooled features (b channels) to logits (b classes)."""
        return self._logits(self.projected(pooled))

    def projected(self, pooled: Tensor) -> Tensor:
        """Map pooled features (b channels) to embeddings (b d)."""
        return pooled if self.projection is None else self.projection(pooled)

    def _logits(self, embeddings: Tensor) -> Tensor:
        cosines = F.linear(F.normalize(embeddings, dim=-1), self.texts)
        return self.scale * cosines + self.offset

    @property
    def weight(self) -> Tensor | None:
        """Rows (classes channels) whose products with pooled features are the logits.

        Up to the length of the image's embedding, by which all logits are divided, and the offset.
        None where there are no such rows.
        """
        return self.rows_of(self.texts)

    def rows_of(self, texts: Tensor) -> Tensor | None:
        """Rows (n channels), as `weight`, of other embeddings of texts (n d)."""
        if self.projection is None:
            return None
        rows = self.scale * texts
        return rows @ self.projection.weight if isinstance(self.projection, nn.Linear) else rows

    @property
    def bias(self) -> Tensor | None:
        """The bias (classes) beside the rows; None where the projection has none."""
        if not isinstance(self.projection, nn.Linear) or self.projection.bias is None:
            return None
        return self.scale * self.texts @ self.projection.bias


class TextClassifier(nn.Module):
    """An image tower and the head that compares its embeddings with texts.

    Args:
        tower: maps normalised images to embeddings (b d), or a tuple that begins with them.
        head: a `TextHead` that takes embeddings.
    """

    def __init__(self, tower: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.head = head
        self.num_classes = 0  # until texts are given; the name is timm's

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (b 3 h w) to logits (b classes)."""
        logits: Tensor = self.head(self.embed(images))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """Map normalised images (b 3 h w) to embeddings (b d)."""
        answer: Tensor | tuple[Tensor, ...] = self.tower(images)
        return answer[0] if isinstance(answer, tuple) else answer
