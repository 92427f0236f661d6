"""RISE: what the classifier says of an image under many random masks, averaged over the masks.

Petsiuk, Das, Saenko: RISE (https://arxiv.org/abs/1806.07421).
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.errors import MOST_COUNTED, require_number, require_whole
from explainers.images.pixel_removal import keep


class RISE(Explainer):
    """Scores a pixel by the mean probability of the class under random masks that keep it.

    The estimate of equation 6: sum over masks of probability times mask, over the number of masks
    and the share that a mask keeps. All images get the same masks.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        masks: number of masks; the paper takes 4000 for VGG-16 and 8000 for ResNet-50.
        cells: of a mask on each side, before it is enlarged bilinearly and moved.
        share: chance of a cell to be kept.
        seed: of the masks.
        chunk_size: images in the network at once.

    Raises:
        InputError: a number is out of its range.
    """

    title = "RISE"
    papers = (
        Paper(
            "petsiuk2018rise",
            "RISE: Randomized Input Sampling for Explanation of Black-box Models",
            "Petsiuk, Vitali and Das, Abir and Saenko, Kate",
            "1806.07421",
        ),
    )
    export_obstacle = "shows the classifier thousands of masked images"
    quick_settings: ClassVar[dict[str, Any]] = {"masks": 200}

    def __init__(
        self,
        classifier: ClassifierSource,
        masks: int = 4000,
        cells: int = 7,
        share: float = 0.5,
        seed: int = 0,
        chunk_size: int = 64,
    ) -> None:
        super().__init__(classifier)
        require_whole("masks", masks, 1, MOST_COUNTED)
        require_whole("cells", cells, 2, MOST_COUNTED)
        require_number("share", share, above=0, below=1)
        require_whole("seed", seed, 0, MOST_COUNTED)
        require_whole("chunk_size", chunk_size, 1, MOST_COUNTED)
        self.masks, self.cells, self.share = masks, cells, float(share)
        self.seed, self.chunk_size = seed, chunk_size

    @torch.no_grad()
    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Average the masks, weighted by the probabilities."""
        total = torch.zeros_like(images[:, :1])
        decision = self.classifier.decision
        for masks in self._masks(images.shape[-2:]):
            masks = masks.to(images)
            for index, label in enumerate(target):
                logits = self.classifier(keep(images[index : index + 1], masks))
                weights = decision.probability_of(label.expand(len(masks)), logits)
                total[index] += torch.einsum("m,mchw->chw", weights.to(masks), masks)
        return total / (self.masks * self.share)

    def _masks(self, size: Sequence[int]) -> Iterator[Tensor]:
        """Chunks of masks (m 1 h w) in [0, 1], always the same."""
        generator = torch.Generator().manual_seed(self.seed)
        cell = [ceil(side / self.cells) for side in size]
        large = [(self.cells + 1) * side for side in cell]
        grids = torch.rand(self.masks, 1, self.cells, self.cells, generator=generator) < self.share
        moves = [torch.randint(side, (self.masks,), generator=generator) for side in cell]
        chunks = zip(
            grids.split(self.chunk_size), *(m.split(self.chunk_size) for m in moves), strict=True
        )
        for chosen, tops, lefts in chunks:
            enlarged = F.interpolate(chosen.float(), large, mode="bilinear", align_corners=False)
            corners = zip(enlarged, tops.tolist(), lefts.tolist(), strict=True)
            yield torch.stack(
                [mask[:, top : top + size[0], left : left + size[1]] for mask, top, left in corners]
            )
