"""Box sensitivity: whether a square matters to the classifier as much as the map says."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.images.pixel_removal import delete
from explainers.metrics.parts.image_mean import ResponseMetric


@dataclass(frozen=True)
class Boxes:
    """An image without one random square at a time, the same squares for all images of a size.

    Attributes:
        size: side of the squares, in pixels.
        count: how many squares.
        seed: decides where they are.

    Raises:
        ValueError: there are too few squares for a correlation, or they are empty.
    """

    size: int = 32
    count: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {self.size}")
        if self.count < 2:
            raise ValueError(f"count must be at least 2 for a correlation, got {self.count}")

    def __call__(self, images: Tensor, maps: Tensor) -> Iterator[Tensor]:
        """Yield `count` versions (b 3 h w), a square of each black."""
        for square in self.squares(images).to(images):
            yield delete(images, square)

    def squares(self, images: Tensor) -> Tensor:
        """Masks (count 1 h w) of the squares, true inside, for images (b _ h w).

        Raises:
            ValueError: the squares do not fit into the images.
        """
        height, width = images.shape[-2:]
        if self.size > min(height, width):
            raise ValueError(
                f"squares of {self.size} pixels do not fit into images of {height} x {width}; "
                f"choose a size of at most {min(height, width)}"
            )
        generator = torch.Generator().manual_seed(self.seed)
        top, left = (
            torch.randint(side - self.size + 1, (self.count, 1), generator=generator)
            for side in (height, width)
        )
        rows, columns = torch.arange(height), torch.arange(width)
        inside = (rows >= top) & (rows < top + self.size)  # (count h)
        across = (columns >= left) & (columns < left + self.size)  # (count w)
        return (inside[:, None, :, None] & across[:, None, None, :]).to(images.device)

    def sums(self, maps: Tensor) -> Tensor:
        """Sum of maps (b 1 h w) over each square (b count), float64; NaN if they have a NaN."""
        sums: Tensor = maps.flatten(1).double() @ self.squares(maps).flatten(1).T.double()
        return sums


def box_sensitivity(boxed: Tensor, sums: Tensor) -> Tensor:
    """Pearson's r (b) between what the map holds in a square and what removing it costs.

    The cost is the logit of the whole image, the same for all squares, less that without the
    square: r is that of the latter, negated. NaN where either is the same for all squares.

    Args:
        boxed: the target's logit (b count) without each square.
        sums: the sum of the map (b count) in each square.
    """
    return -(_standardised(boxed.double()) * _standardised(sums)).sum(dim=1)


def _standardised(values: Tensor) -> Tensor:
    """Rows (b n) of mean 0 and length 1; NaN where a row differs by no more than rounding."""
    centred = values - values.mean(dim=1, keepdim=True)
    # What float32, which maps and logits come in, cannot tell from rounding.
    same = centred.abs().amax(dim=1) <= 1e-6 * values.abs().amax(dim=1)
    unit: Tensor = centred / centred.norm(dim=1, keepdim=True)
    return unit.masked_fill(same[:, None], torch.nan)


class BoxSensitivity(ResponseMetric):
    """Mean correlation between a square's share of the map and its effect; higher is better.

    Pearson's r, from -1 to 1, over random squares: the sum of the map in each against the drop of
    the target's logit when it is made black. Sensitivity-n of Ancona et al.
    (https://arxiv.org/abs/1711.06104), with squares for its random sets of pixels.

    Args:
        size: side of the squares, in pixels; report several.
        count: how many squares.
        seed: decides where they are.
    """

    higher_is_better = True
    reads = "logit"
    takes = ("maps",)
    per_image = staticmethod(box_sensitivity)

    def __init__(self, size: int = 32, count: int = 100, seed: int = 0) -> None:
        super().__init__()
        self.boxes = Boxes(size, count, seed)
        self.needs = (self.boxes,)

    def update(self, boxed: Tensor, maps: Tensor) -> None:  # type: ignore[override]
        """Add a batch: the target's logit (b count) without each square, and the maps (b 1 h w)."""
        super().update(boxed, self.boxes.sums(maps))
