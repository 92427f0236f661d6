"""Smooth enlargement of maps for pictures.

Methods enlarge a coarse grid of scores bilinearly to the image's size, which draws crosses and
diamonds that are nothing the classifier saw. A picture shows the same grid enlarged by bicubic
splines; arrays and metrics keep the method's own values.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

GRIDS = range(4, 65)
"""Cells a side of the grids that are looked for."""

SIDE = 224
"""Pixels a side at which they are."""

TOLERANCE = 0.01
"""Root mean square of what a grid may miss, as a share of the range of the values."""


def smooth(values: Tensor) -> Tensor:
    """Enlarge values (1 h w) anew from the grid that they were enlarged from.

    Returns:
        Values (1 h w) within the range of those given, which come back as they are where no grid
        of `GRIDS` explains them.
    """
    values = values.detach().float().cpu()
    low, high = values.aminmax()
    seen = _bilinear(values, [min(SIDE, side) for side in values.shape[-2:]])
    for cells in GRIDS:
        if cells > min(seen.shape[-2:]) // 2:
            break
        grid, missed = _grid_of(seen, cells)
        if missed <= TOLERANCE * (high - low):
            size = list(values.shape[-2:])
            enlarged = F.interpolate(grid[None], size, mode="bicubic", align_corners=False)[0]
            return torch.clamp(enlarged, low, high)
    return values


def _grid_of(values: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The grid (1 cells cells) that comes nearest to values (1 h w), and what it misses."""
    grid = values.new_zeros(1, cells, cells)
    missed = values
    for _ in range(3):  # the centre of a cell lies between pixels, where the slope changes
        grid = grid + _bilinear(missed, [cells, cells])
        missed = values - _bilinear(grid, values.shape[-2:])
    return grid, missed.square().mean().sqrt()


def _bilinear(values: Tensor, size: list[int] | torch.Size) -> Tensor:
    """Sample values (1 _ _) at the centres of a grid's cells, bilinearly."""
    return F.interpolate(values[None], list(size), mode="bilinear", align_corners=False)[0]
