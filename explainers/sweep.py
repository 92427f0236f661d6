"""Showing a classifier perturbed images: each kind once, for all metrics that ask for it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from explainers.metrics.base import Perturbation


class Responses(NamedTuple):
    """What a classifier says of the n versions of each image, each (b n).

    Attributes:
        probability: softmax probability of the target.
        logit: the target's logit.
        hit: 1 where the target is the predicted class, else 0.
    """

    probability: Tensor
    logit: Tensor
    hit: Tensor


@torch.no_grad()
def sweep(
    classifier: Callable[[Tensor], Tensor],
    perturbations: Iterable[Perturbation],
    images: Tensor,
    maps: Tensor,
    labels: Tensor,
    chunk_size: int = 64,
) -> Mapping[Perturbation, Responses]:
    """Show a classifier every perturbation of every image, in float32.

    Versions of different perturbations are packed into the same forward passes, and are made when
    their turn comes: no more than `chunk_size` images are in the classifier at once, and no more
    than that and one batch are held.

    Args:
        classifier: maps images (m 3 h w) to logits (m classes).
        perturbations: what to show; of equal ones only one is.
        images: (b 3 h w) in [0, 1].
        maps: (b 1 h w) in [0, 1].
        labels: the target (b) of each image.
        chunk_size: images in the classifier at once; lower it if memory runs out.
    """
    todo = list(dict.fromkeys(perturbations))
    pending: list[Tensor] = []
    answered: list[Tensor] = []
    counts = []

    def show(least: int) -> None:
        """Show what is pending, as long as there are `least` images of it."""
        while pending and sum(len(part) for part in pending) >= least:
            together = torch.cat(pending)
            answered.append(classifier(together[:chunk_size]).float())
            pending[:] = [together[chunk_size:]] if len(together) > chunk_size else []

    with torch.autocast(images.device.type, enabled=False):
        for perturbation in todo:
            count = 0
            for version in perturbation(images, maps):
                pending.append(version.float())
                count += 1
                show(chunk_size)
            counts.append(count)
        show(1)
    if not todo:
        return {}
    logits = torch.cat(answered).unflatten(0, (sum(counts), len(images)))  # (versions b classes)
    index = labels.expand(len(logits), -1)[..., None]
    responses = Responses(
        logits.softmax(dim=-1).gather(-1, index)[..., 0].T,
        logits.gather(-1, index)[..., 0].T,
        (logits.argmax(dim=-1) == labels).float().T,
    )
    parts = [part.split(counts, dim=1) for part in responses]
    return {todo[i]: Responses(*(part[i] for part in parts)) for i in range(len(todo))}
