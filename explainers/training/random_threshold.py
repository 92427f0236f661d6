"""The random-threshold objective: maps whose top share is good at every size of it.

Ours; the goal of insertion, deletion, ROAD and of average drop at 15 and 50 percent, directly. A
similar goal by soft sorting: AHA (https://arxiv.org/abs/2604.05819).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.images.pixel_removal import Removal, keep
from explainers.training.distributed import uniform
from explainers.training.losses import survival

LEAST_TEMPERATURE = 1e-4  # a step, in float32: it has no gradient


def drawn_shares(labels: Tensor, step: int) -> Tensor:
    """Shares (b) in [0, 1) of the images' pixels to keep, drawn for each image and step.

    N processes with b images each draw as one with N b does.
    """
    return uniform(labels, 4 * step + 1)


def top_share(maps: Tensor, shares: Tensor, temperature: float) -> Tensor:
    """The part kept of each pixel (b 1 h w): the sigmoid of its distance from a quantile.

    The quantile lies half-way between the lowest value that is kept and the highest that is not,
    and has no gradient: as many pixels are over 1/2 as the share says, to the nearest pixel, at
    least one and not all. Pixels that tie at the quantile are kept by half, all alike.

    Args:
        maps: (b 1 h w).
        shares: of the pixels to keep (b) in [0, 1].
        temperature: distance from the quantile, in units of the map, at which 73 % is kept.
    """
    with torch.no_grad():
        ordered = maps.flatten(1).sort(dim=1, descending=True).values
        count = ordered.shape[1]
        kept = (shares.double() * count).round().long().clamp(1, max(1, count - 1))[:, None]
        lowest = ordered.gather(1, kept - 1)
        highest = ordered.gather(1, kept.clamp(max=count - 1))
        quantile = (lowest + highest) / 2
    return ((maps - quantile[..., None, None]) / temperature).sigmoid()


def threshold_loss(
    classifier: FrozenClassifier,
    images: Tensor,
    labels: Tensor,
    maps: Tensor,
    shares: Tensor,
    temperature: float,
    remove: Removal = keep,
) -> Tensor:
    """Cross entropy on the top share of the pixels, and survival of the class on the others.

    Args:
        classifier: gives the logits.
        images: (b 3 h w) in [0, 1].
        labels: classes (b) of the maps.
        maps: (b 1 h w), of the images' size.
        shares: of the pixels to keep (b), as `drawn_shares` gives them.
        temperature: as of `top_share`.
        remove: of pixels.
    """
    decision = classifier.decision
    part = top_share(maps, shares, temperature)
    kept: Tensor = classifier(remove(images, part))
    left: Tensor = classifier(remove(images, 1 - part))
    cross_entropy = F.nll_loss(decision.log_probabilities(kept), labels)
    return cross_entropy + survival(decision.probability_of(labels, left))
