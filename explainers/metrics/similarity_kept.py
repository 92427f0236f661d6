"""Share of the similarity to a reference that the best pixels of a map keep."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.images.pixel_removal import keep
from explainers.metrics.parts.image_mean import ImageMean
from explainers.metrics.parts.perturbations import mark_undefined, ranks


@torch.no_grad()
def similarity_kept(
    images: Tensor,
    maps: Tensor,
    references: Tensor,
    embed: Callable[[Tensor], Tensor],
    percent: float,
) -> Tensor:
    """Percent (b) of the cosine to the reference that the highest pixels of the map keep alone.

    Above 100 where the rest of the image was in the way; NaN where the cosine of the whole image
    is not positive, and for a map with NaN.

    Args:
        images: (b 3 h w), RGB in [0, 1].
        maps: (b 1 h w); of equal values the first count as higher.
        references: embeddings (b d).
        embed: maps images (b 3 h w) to embeddings (b d).
        percent: share of the pixels that stay; the others are black.
    """
    stay = ranks(maps) < round(maps[0].numel() * percent / 100)
    shown = mark_undefined(keep(images, stay.to(images)), maps)
    whole = F.cosine_similarity(embed(images), references)
    kept = F.cosine_similarity(embed(shown), references)
    return torch.where(whole > 0, 100 * kept / whole, torch.nan)


class SimilarityKept(ImageMean):
    """Mean share of the similarity to a reference that the best pixels keep alone, in percent.

    Args:
        percent: share of the pixels that stay.
    """

    higher_is_better = True
    takes = ("images", "maps", "labels", "embed")

    def __init__(self, percent: float = 50.0) -> None:
        super().__init__()
        self.percent = percent

    def update(  # type: ignore[override]
        self, images: Tensor, maps: Tensor, references: Tensor, embed: Callable[[Tensor], Tensor]
    ) -> None:
        """Add a batch; see `similarity_kept`."""
        values = similarity_kept(images, maps, references, embed, self.percent)
        self.values.append(values.float())
