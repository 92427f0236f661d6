"""Boxes around maps: how well a thresholded map localises the object."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from explainers.metrics.parts.boxes import area, box_iou, components
from explainers.metrics.parts.image_mean import ImageMean


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
    defined = (high > low) & (area(boxes) > 0).any(dim=1)
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
