"""Mosaics of a batch's images: compositions that a teacher can explain like any other image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.training import distributed


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
    images, classes = distributed.of_all(images), distributed.of_all(classes)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(images), (number * distributed.count(), 4), generator=generator)
    first = distributed.first_of(drawn[:number])
    cells = drawn[first : first + number].to(images.device)
    top_left, top_right, bottom_left, bottom_right = images[cells].unbind(dim=1)
    rows = torch.cat([top_left, top_right], dim=3), torch.cat([bottom_left, bottom_right], dim=3)
    composed = F.interpolate(
        torch.cat(rows, dim=2), list(images.shape[-2:]), mode="bilinear", antialias=True
    )
    of_cells = classes[cells].mT.flatten(1)  # (number n*4), ranks before cells
    return composed.clamp(0, 1), of_cells[:, : classes.shape[1]]
