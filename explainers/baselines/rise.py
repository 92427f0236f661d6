"""RISE (https://arxiv.org/abs/1806.07421): the mean of random masks, each by what it leaves."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.errors import MOST_COUNTED, require_number, require_whole
from explainers.images.pixel_removal import keep


class RISE(Explainer):
    """Averages random masks, weighted by the class's probability on the masked image.

    A mask is a coarse grid of random zeros and ones, enlarged bilinearly to one cell more than the
    image a side, and cropped at a random shift. Scores are the sum of probability times mask,
    divided by `masks * keep_probability`; never negative. Removed pixels are black, where the
    authors' code shows the mean colour. Costs a forward pass a mask; all images see the same masks.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        masks: how many; the paper takes 4000 for VGG16 and 8000 for ResNet-50.
        cells: of the coarse grid on each side.
        keep_probability: that a cell of the grid is kept.
        seed: of the masks.
        chunk_size: masked images in the classifier at once.

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
    quick_settings: ClassVar = {"masks": 200}
    export_obstacle = "takes a pass of the classifier for each of many random masks"

    def __init__(
        self,
        classifier: ClassifierSource,
        masks: int = 4000,
        cells: int = 7,
        keep_probability: float = 0.5,
        seed: int = 0,
        chunk_size: int = 16,
    ) -> None:
        super().__init__(classifier)
        counts = {"masks": masks, "cells": cells, "chunk_size": chunk_size}
        for what, count in counts.items():
            require_whole(what, count, 1, MOST_COUNTED)
        require_number("keep_probability", keep_probability, above=0, most=1)
        require_whole("seed", seed, 0, 2**32 - 1)
        self.masks, self.cells, self.keep_probability = masks, cells, keep_probability
        self.seed, self.chunk_size = seed, chunk_size

    @torch.no_grad()
    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Show each image under all masks, some at once."""
        height, width = images.shape[-2:]
        grids, shifts = self._drawn(-(-height // self.cells), -(-width // self.cells))
        totals = torch.zeros_like(images[:, :1], dtype=torch.float64)
        for start in range(0, self.masks, self.chunk_size):
            chosen = slice(start, start + self.chunk_size)
            masks = _enlarged(grids[chosen], shifts[chosen], (height, width)).to(images)
            for image, label, total in zip(images, target, totals, strict=True):
                logits = self.classifier(keep(image[None], masks))
                labels = label.expand(len(masks))
                weights = self.classifier.decision.probability_of(labels, logits).double()
                total += torch.einsum("n,nchw->chw", weights, masks.double())
        return (totals / (self.masks * self.keep_probability)).to(images.dtype)

    def _drawn(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Grids (masks 1 cells cells) of zeros and ones, and shifts (masks 2) within a cell."""
        generator = torch.Generator().manual_seed(self.seed)
        draws = torch.rand(self.masks, 1, self.cells, self.cells, generator=generator)
        sides = [
            torch.randint(side, (self.masks,), generator=generator) for side in (height, width)
        ]
        return (draws < self.keep_probability).float(), torch.stack(sides, dim=1)


def _enlarged(grids: Tensor, shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (n 1 h w) of an image's size, from grids (n 1 s s) and shifts (n 2)."""
    cells = grids.shape[-1]
    enlarged = [(cells + 1) * -(-side // cells) for side in size]
    masks = F.interpolate(grids, enlarged, mode="bilinear", align_corners=False)
    return torch.stack(
        [
            mask[:, top : top + size[0], left : left + size[1]]
            for mask, (top, left) in zip(masks, shifts.tolist(), strict=True)
        ]
    )
