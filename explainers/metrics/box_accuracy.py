"""Boxes around maps: how well a thresholded map localises the object.

A box is x1, y1, x2, y2 in pixels, with x2 and y2 the first column and row after it, so its area
is (x2 - x1) (y2 - y1). Pixels that touch, also by a corner, belong to one component.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from explainers.metrics.base import ImageMean


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
    overlap = _area(torch.cat([starts, ends], dim=-1))
    return overlap / (_area(boxes) + _area(others) - overlap)


def _area(boxes: Tensor) -> Tensor:
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


def best_iou(
    scores: Tensor, boxes: Tensor, thresholds: Tensor, every_component: bool = False
) -> Tensor:
    """IoU (b t), in [0, 1], of the box of each thresholded map with the box that it fits best.

    The map is brought to [0, 1] by its minimum and maximum; its box is the tightest around the
    largest component of the pixels at or above the threshold, of equal ones around the first.
    NaN for a constant map, for an image without boxes and for a map with NaN.

    Args:
        scores: maps (b 1 h w) of any range.
        boxes: of the objects (b n 4), in pixels; of zeros where an image has fewer than n.
        thresholds: ascending (t), in [0, 1].
        every_component: take the component that fits best instead of the largest.

    Raises:
        ValueError: boxes are of another shape, or end before they start.
    """
    if boxes.ndim != 3 or len(boxes) != len(scores) or boxes.shape[2] != 4:
        raise ValueError(f"boxes must be ({len(scores)} n 4), got {tuple(boxes.shape)}")
    if (boxes[..., 2:] < boxes[..., :2]).any():
        raise ValueError("boxes must be x1, y1, x2, y2, got one that ends before it starts")
    pixels = scores.float().contiguous()  # bucketize warns of anything else
    low, high = pixels.amin(dim=(1, 2, 3)), pixels.amax(dim=(1, 2, 3))
    span = (high - low)[:, None, None, None]
    reached = torch.bucketize((pixels - low[:, None, None, None]) / span, thresholds, right=True)
    ious = []
    for areas, found in components(reached - 1, len(thresholds)):
        if every_component:
            image, pixel = areas.nonzero(as_tuple=True)
        else:
            image, pixel = torch.arange(len(areas), device=areas.device), areas.argmax(dim=1)
        corners = found[image, pixel].abs()[:, None]  # (components 1 4)
        best = box_iou(corners, boxes[image]).amax(dim=1)
        ious.append(best.new_zeros(len(areas)).scatter_reduce_(0, image, best, "amax"))
    defined = (high > low) & (_area(boxes) > 0).any(dim=1)
    return torch.where(defined[:, None], torch.stack(ious[::-1], dim=1), torch.nan)


def percent_iou(scores: Tensor, boxes: Tensor, thresholds: Tensor) -> Tensor:
    """Percent (b t): `best_iou` of the largest components."""
    return 100 * best_iou(scores, boxes, thresholds)


class BoxIoU(ImageMean):
    """Mean IoU of the box around each map with the object's, in percent; higher is better.

    The map, brought to [0, 1], is cut at one threshold for all images; see `best_iou`.

    Args:
        threshold: in [0, 1]; lower for larger boxes.

    Raises:
        ValueError: the threshold is outside [0, 1].
    """

    higher_is_better = True
    takes = ("scores", "boxes")
    per_image = staticmethod(percent_iou)

    def __init__(self, threshold: float = 0.5) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], got {threshold}")
        super().__init__()
        self.threshold = threshold

    def update(self, *arguments: Tensor) -> None:
        """Add a batch of maps (b 1 h w) and boxes (b n 4)."""
        scores, boxes = arguments
        super().update(scores, boxes, torch.tensor([self.threshold], device=scores.device))


class MaxBoxAccuracy(Metric):
    """Share of images whose box is right, at the threshold best for the data set, in percent.

    A box is right if its IoU with one of the object's boxes is at least 0.3, 0.5 or 0.7. The figure
    is the mean of the three accuracies, which `each` tells one by one; higher is better.

    Defined in Evaluating Weakly Supervised Object Localization Methods Right
    (https://arxiv.org/abs/2001.07437): MaxBoxAcc boxes the largest component, for an IoU of 0.5;
    MaxBoxAccV2 boxes every component, and takes the mean of the three. The program of the paper
    rounds maps to 256 steps and measures components by their outline; here neither is so.

    Args:
        ious: what counts as right, each in (0, 1].
        step: distance of the thresholds, from 0 to 1; finer finds slightly better ones.
        every_component: box every component and take the one that fits best, instead of boxing
            the largest.

    Raises:
        ValueError: an IoU or the step is outside (0, 1].

    Attributes:
        hits: how many images are right at each IoU and threshold (ious thresholds).
        images: how many there are.
        left_out: how many besides have no box, a constant map or one with NaN.
    """

    full_state_update = False
    higher_is_better = True
    takes = ("scores", "boxes")
    hits: Tensor
    images: Tensor
    left_out: Tensor

    def __init__(
        self,
        ious: Sequence[float] = (0.3, 0.5, 0.7),
        step: float = 0.01,
        every_component: bool = False,
    ) -> None:
        if not all(0 < value <= 1 for value in (*ious, step)):
            raise ValueError(f"ious and step must be in (0, 1], got {tuple(ious)} and {step}")
        super().__init__()
        self.ious = tuple(ious)
        self.every_component = every_component
        self.thresholds = torch.linspace(0, 1, round(1 / step) + 1, dtype=torch.float64).float()
        hits = torch.zeros(len(self.ious), len(self.thresholds), dtype=torch.int64)
        self.add_state("hits", hits, dist_reduce_fx="sum")
        for count in ("images", "left_out"):
            self.add_state(count, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, boxes: Tensor) -> None:
        """Add a batch of maps (b 1 h w) and boxes (b n 4); see `best_iou`."""
        ious = best_iou(scores, boxes, self.thresholds.to(scores.device), self.every_component)
        undefined = ious[:, 0].isnan()
        self.hits += torch.stack([(ious >= iou).sum(dim=0) for iou in self.ious])
        self.images += (~undefined).sum()
        self.left_out += undefined.sum()

    def compute(self) -> Tensor:
        """Mean, over the IoUs, of the accuracy so far at each one's best threshold."""
        return self._best().mean()

    def each(self) -> dict[float, Tensor]:
        """The accuracy so far for each IoU, of all processes; NaN without images."""
        with self.sync_context():
            return dict(zip(self.ious, self._best(), strict=True))

    def _best(self) -> Tensor:
        """Percent (ious) of right boxes, each at the threshold that has most."""
        return (100 * self.hits / self.images).amax(dim=1)
