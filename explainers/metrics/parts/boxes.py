"""Boxes: around masks and around the connected parts of maps, and how far two overlap.

A box is x1, y1, x2, y2 in pixels, with x2 and y2 the first column and row after it, so its area
is (x2 - x1) (y2 - y1). Pixels that touch, also by a corner, belong to one component.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def boxes_of(masks: Tensor) -> Tensor:
    """Tightest box (b 1 4), int64, around all true pixels of each mask; zeros if there are none.

    Args:
        masks: where the object is, bool (b 1 h w).
    """
    starts, ends = [], []
    for pixels in (masks.any(dim=2), masks.any(dim=3)):  # (b 1 w), (b 1 h)
        starts.append(pixels.int().argmax(dim=2))
        ends.append(pixels.shape[2] - pixels.flip(2).int().argmax(dim=2))
    return torch.stack(starts + ends, dim=2) * masks.any(dim=(2, 3))[..., None]


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU (_), in [0, 1], of boxes (_ 4) with others (_ 4); leading dimensions broadcast."""
    starts = torch.maximum(boxes[..., :2], others[..., :2])
    ends = torch.minimum(boxes[..., 2:], others[..., 2:])
    overlap = area(torch.cat([starts, ends], dim=-1))
    return overlap / (area(boxes) + area(others) - overlap)


def area(boxes: Tensor) -> Tensor:
    """Area (_) of boxes (_ 4), of which those that end before they start have none."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(dim=-1)
    return width * height


def components(levels: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the components of levels >= t, for t from count - 1 down to 0.

    Lowering t only adds pixels, so each step joins the new ones to the components that are already
    there: all thresholds together cost about as much as one.

    Args:
        levels: whole numbers (b 1 h w) from -1, which belongs to no component, to count - 1.
        count: how many thresholds there are.

    Yields:
        The areas (b n) of components and their boxes (b n 4) as x1, y1, -x2, -y2: views that the
        next step changes. A component stands at its first pixel in reading order; all other areas
        are 0.
    """
    batch, _, height, width = levels.shape
    padded = torch.nn.functional.pad(levels, (1, 1, 1, 1), value=-1)
    row = width + 2
    offsets = torch.tensor([1, row - 1, row, row + 1], device=levels.device)
    offsets = torch.cat([offsets, -offsets])[:, None]
    levels = padded.flatten()
    pixels = torch.arange(len(levels), device=levels.device)
    x = (pixels % row) - 1
    y = (pixels // row) % (height + 2) - 1
    extents = torch.stack([x, y, -x - 1, -y - 1], dim=1)  # all four shrink when boxes join
    areas = torch.zeros_like(pixels)
    roots, parents = pixels.clone(), pixels.clone()
    sizes = torch.bincount(levels + 1, minlength=count + 1).flip(0)[:-1].tolist()
    by_level = levels.argsort(descending=True)[: sum(sizes)].split(sizes)
    for level, added in zip(reversed(range(count)), by_level, strict=True):
        areas[added] = 1
        neighbours = added + offsets  # (8 new)
        # Of two new neighbours, one suffices to see the other.
        seen = levels.gather(0, neighbours.flatten()).view_as(neighbours)
        joined = (seen > level) | ((seen == level) & (offsets > 0))
        first = roots.gather(0, added.expand_as(joined)[joined])
        second = roots.gather(0, neighbours[joined])
        lost = _join(parents, first, second)
        into = parents.gather(0, lost)
        areas.index_add_(0, into, areas[lost])
        areas[lost] = 0
        extents.scatter_reduce_(0, into[:, None].expand(-1, 4), extents[lost], "amin")
        roots = parents.gather(0, roots)
        yield areas.view(batch, -1), extents.view(batch, -1, 4)


def _join(parents: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Point components at the first that they are connected to, and return which moved.

    Args:
        parents: each component's own index (n), changed in place.
        first: one end (_) of each connection.
        second: the other end (_).
    """
    ends = torch.cat([first, second])
    while len(first):
        high, low = torch.maximum(first, second), torch.minimum(first, second)
        parents.scatter_reduce_(0, high, low, "amin")
        above = parents.gather(0, ends)
        while not torch.equal(further := parents.gather(0, above), above):
            parents.scatter_(0, ends, further)
            above = parents.gather(0, ends)
        first, second = parents.gather(0, first), parents.gather(0, second)
        apart = first != second
        first, second = first[apart], second[apart]
    moved: Tensor = ends[parents.gather(0, ends) != ends].unique()
    return moved
