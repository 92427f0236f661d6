"""Agreement of an explainer's maps over mirrored and shifted copies of an image.

A map that changes when its image is mirrored or moved by a few pixels tells less about the
classifier than about the grid of its features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Of the shorter side: 8 pixels of 224, a quarter of the coarsest features' stride.
SHIFT = 1 / 28


@dataclass(frozen=True)
class View:
    """A mirrored or shifted copy of an image, its border repeated at the edges.

    Attributes:
        mirrored: left and right exchanged.
        down: shift down, in pixels.
        right: shift to the right, in pixels.
    """

    mirrored: bool = False
    down: int = 0
    right: int = 0

    def of(self, images: Tensor) -> Tensor:
        """Apply to images (b 3 h w)."""
        margin = max(abs(self.down), abs(self.right))
        padded = F.pad(images, [margin] * 4, mode="replicate")
        moved = _cut(padded, margin - self.down, margin - self.right, images)
        return moved.flip(-1) if self.mirrored else moved

    def back(self, maps: Tensor) -> Tensor:
        """Undo on maps (b 1 h w) of such images; NaN at pixels outside the copy."""
        margin = max(abs(self.down), abs(self.right))
        maps = maps.flip(-1) if self.mirrored else maps
        padded = F.pad(maps, [margin] * 4, value=torch.nan)
        return _cut(padded, margin + self.down, margin + self.right, maps)


def views(height: int, width: int) -> list[View]:
    """The image as it is, mirrored, and shifted to each of the four sides."""
    step = max(1, round(SHIFT * min(height, width)))
    moved = [View(down=step), View(down=-step), View(right=step), View(right=-step)]
    return [View(), View(mirrored=True), *moved]


@torch.no_grad()
def disagreement(
    answer: Callable[[Tensor, Tensor], Tensor], images: Tensor, target: Tensor
) -> Tensor:
    """Standard deviation (b 1 h w) of each pixel's map value over the views that show it.

    The mean over an image's pixels is its uncertainty in one number. Costs six maps an image.

    Args:
        answer: from images and target to maps (b 1 h w) in [0, 1].
        images: (b 3 h w).
        target: what to explain, the same in all views.
    """
    maps = torch.stack(
        [view.back(answer(view.of(images), target)) for view in views(*images.shape[-2:])]
    )
    return (maps - maps.nanmean(dim=0)).square().nanmean(dim=0).sqrt()


def _cut(padded: Tensor, top: int, left: int, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    return padded[..., top : top + height, left : left + width]
