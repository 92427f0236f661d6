"""ImageNet-Segmentation protocol: maps as segmentations of the object.

The protocol of Transformer Interpretability (https://arxiv.org/abs/2012.09838): what is above a
map's own mean is foreground. Percent throughout; higher is better.
"""

import torch
from torch import Tensor
from torchmetrics import Metric

from explainers.metrics.energy_pointing import require_masks
from explainers.metrics.parts.image_mean import ImageMean


def confusion(scores: Tensor, masks: Tensor) -> Tensor:
    """Count (b 2 2) each image's pixels by what they are and what the map takes them for.

    Both are background, then foreground. All 0 where there is nothing to compare: for an empty
    mask and for a map with NaN. Of a constant map nothing is above the mean.

    Args:
        scores: maps (b 1 h w) of any range.
        masks: where the object is, bool (b 1 h w).

    Raises:
        TypeError: masks are not bool.
        ValueError: masks are not of the shape of the scores.
    """
    require_masks(scores, masks)
    pixels, inside = scores.float().flatten(1), masks.flatten(1)
    # From 0 upwards: the mean of a constant map may be rounded to below the constant.
    pixels = pixels - pixels.amin(dim=1, keepdim=True)
    taken = pixels > pixels.mean(dim=1, keepdim=True)
    cells = torch.stack([~inside & ~taken, ~inside & taken, inside & ~taken, inside & taken], dim=1)
    defined = inside.any(dim=1) & ~pixels.isnan().any(dim=1)
    return (cells.sum(dim=2) * defined[:, None]).view(-1, 2, 2)


def average_precision(scores: Tensor, masks: Tensor) -> Tensor:
    """Percent (b): mean, over the pixels of the mask, of the precision at their scores.

    The precision at a score is the share of pixels with at least that score that are inside the
    mask: equal pixels enter together, and a constant map gets the share that the mask covers.
    NaN where the mask is empty and for a map with NaN.

    Args:
        scores: maps (b _ h w) of any range.
        masks: where the object is, bool (b _ h w).

    Raises:
        TypeError: masks are not bool.
        ValueError: masks are not of the shape of the scores.
    """
    require_masks(scores, masks)
    pixels, order = scores.flatten(1).sort(dim=1, descending=True)
    inside = masks.flatten(1).gather(1, order)
    ranks = torch.arange(pixels.shape[1], device=pixels.device)
    # Each rank's last equal: of the ranks that the next one falls below, the first from here on.
    last = torch.where(pixels[:, :-1] == pixels[:, 1:], ranks[-1], ranks[:-1])
    last = torch.cat([last, ranks[-1:].expand(len(pixels), 1)], dim=1)
    last = last.flip(1).cummin(dim=1).values.flip(1)
    precision = (inside.cumsum(dim=1) / (ranks + 1)).gather(1, last)
    mean = (precision * inside).sum(dim=1) / inside.sum(dim=1)
    return torch.where(pixels.isnan().any(dim=1), torch.nan, 100 * mean)


class PixelCounts(Metric):
    """Counts of pixels over the whole data set, for pixel accuracy and mean IoU.

    Attributes:
        counts: pixels (2 2), as of `confusion`.
        left_out: how many images have an empty mask or a map with NaN.
    """

    full_state_update = False
    higher_is_better = True
    takes = ("scores", "mask")
    counts: Tensor
    left_out: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(2, 2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("left_out", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, masks: Tensor) -> None:
        """Add a batch; see `confusion` for what it takes."""
        counts = confusion(scores, masks)
        self.counts += counts.sum(dim=0)
        self.left_out += (counts.sum(dim=(1, 2)) == 0).sum()


class PixelAccuracy(PixelCounts):
    """Share of the data set's pixels that the maps take for what they are, in percent."""

    def compute(self) -> Tensor:
        """Accuracy over all pixels so far; NaN without any."""
        return 100 * self.counts.diagonal().sum() / self.counts.sum()


class MeanIoU(PixelCounts):
    """Mean of the IoU of the foreground and that of the background, in percent.

    Each is the data set's intersection over the data set's union, so large objects weigh more.
    """

    def compute(self) -> Tensor:
        """Mean IoU over all pixels so far; NaN without any."""
        both = self.counts.diagonal()
        either = self.counts.sum(dim=0) + self.counts.sum(dim=1) - both
        return 100 * (both / either).mean()


class MeanAveragePrecision(ImageMean):
    """Mean over images of the average precision of their pixels, in percent.

    Args:
        both_classes: rank the pixels of the background together with those of the object, by 1 - s
            and s of the map s brought to [0, 1], as the protocol's own program does. Such figures
            are those in print, and not to be compared with those of the object alone.
    """

    higher_is_better = True
    takes = ("scores", "mask")
    per_image = staticmethod(average_precision)

    def __init__(self, both_classes: bool = False) -> None:
        super().__init__()
        self.both_classes = both_classes

    def update(self, *arguments: Tensor) -> None:
        """Add a batch; see `average_precision` for what it takes."""
        super().update(*(_with_background(*arguments) if self.both_classes else arguments))


def _with_background(scores: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Append the background's scores and masks to those of the object: (b 2 h w) of both."""
    require_masks(scores, masks)
    pixels = scores.float() - scores.float().amin(dim=(1, 2, 3), keepdim=True)
    span = pixels.amax(dim=(1, 2, 3), keepdim=True)
    pixels = torch.where(span == 0, 0.5, pixels / span)  # a constant map decides nothing
    return torch.cat([pixels, 1 - pixels], dim=1), torch.cat([masks, ~masks], dim=1)
