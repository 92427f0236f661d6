"""Mosaics of a batch's images: compositions, of which it is known where the evidence belongs."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.training import distributed

SURE = 0.5  # least probability of the class of a cell that counts as known
LEAST_SHARE = 0.02  # of energy, so that the loss of a map that misses its cell is finite


def mosaics(images: Tensor, classes: Tensor, number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw 2x2 mosaics, whose cells are of the batches of all processes.

    N processes with batches of b that draw `number` each draw the same as one with N b that draws
    N times as many.

    Args:
        images: of this process (b 3 h w).
        classes: the likeliest of each image (b n), the first one first.
        number: of mosaics.
        seed: of the draw; the same gives the same.

    Returns:
        Mosaics (number 3 h w), and the likeliest classes (number n) of their cells: the first ones
        of all four before the second ones.
    """
    cells = _drawn_cells(images, number, seed)
    of_cells = distributed.of_all(classes)[cells].mT.flatten(1)  # (number n*4), ranks before cells
    return _composed(images, cells), of_cells[:, : classes.shape[1]]


class KnownMosaics(NamedTuple):
    """Mosaics, and where the evidence for the classes of their cells belongs.

    Attributes:
        images: (m 3 h w) in [0, 1].
        classes: of the cells (m 4).
        sure: whether the classifier is sure of the class of a cell (m 4) bool.
        regions: the cells of the class of each cell (m 4 h w) bool.
    """

    images: Tensor
    classes: Tensor
    sure: Tensor
    regions: Tensor

    def region_loss(self, maps: Tensor) -> Tensor:
        """Mean of -log of the share of the energy of maps (m 4 h w) in their regions, where sure.

        N processes with m mosaics have the mean that one with N m has.
        """
        share = (maps * self.regions).sum(dim=(2, 3)) / maps.sum(dim=(2, 3)).clamp(min=1e-6)
        losses = -(share + LEAST_SHARE).log() * self.sure
        sure = distributed.means({"sure": self.sure.float().mean()})["sure"]  # of all processes
        return losses.mean() / sure.clamp(min=torch.finfo(sure.dtype).eps)


def known_mosaics(
    images: Tensor, labels: Tensor, probabilities: Tensor, number: int, seed: int
) -> KnownMosaics:
    """Draw mosaics as `mosaics` does, with the regions of their classes.

    Args:
        images: of this process (b 3 h w).
        labels: the class of each (b).
        probabilities: of these (b).
        number: of mosaics.
        seed: of the draw.
    """
    cells = _drawn_cells(images, number, seed)
    classes = distributed.of_all(labels)[cells]
    sure = distributed.of_all(probabilities)[cells] >= SURE
    height, width = images.shape[-2:]
    lower = torch.arange(height, device=images.device)[:, None] >= height / 2
    right = torch.arange(width, device=images.device) >= width / 2
    places = torch.stack([~lower & ~right, ~lower & right, lower & ~right, lower & right])
    same = classes[:, :, None] == classes[:, None]  # (m 4 4)
    regions = torch.einsum("mij,jhw->mihw", same.float(), places.float()) > 0
    return KnownMosaics(_composed(images, cells), classes, sure, regions)


def _drawn_cells(images: Tensor, number: int, seed: int) -> Tensor:
    """Positions (number 4) of cells in the batches of all processes."""
    generator = torch.Generator().manual_seed(seed)
    count = len(images) * distributed.count()
    drawn = torch.randint(count, (number * distributed.count(), 4), generator=generator)
    first = distributed.first_of(drawn[:number])
    return drawn[first : first + number].to(images.device)


def _composed(images: Tensor, cells: Tensor) -> Tensor:
    """Mosaics (number 3 h w) of cells (number 4)."""
    shown = distributed.of_all(images)[cells]
    top_left, top_right, bottom_left, bottom_right = shown.unbind(dim=1)
    rows = torch.cat([top_left, top_right], dim=3), torch.cat([bottom_left, bottom_right], dim=3)
    composed = F.interpolate(
        torch.cat(rows, dim=2), list(images.shape[-2:]), mode="bilinear", antialias=True
    )
    return composed.clamp(0, 1)
