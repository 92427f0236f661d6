"""Showing a network perturbed images: each kind once, for all metrics that ask for it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.metrics.image_mean import Perturbation


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


class Similarities(NamedTuple):
    """What an embedding says of the n versions of each image.

    Attributes:
        similarity: cosine (b n) to the reference; 0 where one of the two is zero.
    """

    similarity: Tensor


@torch.no_grad()
def sweep(
    network: Callable[[Tensor], Tensor],
    perturbations: Iterable[Perturbation],
    images: Tensor,
    maps: Tensor,
    labels: Tensor,
    chunk_size: int = 64,
) -> Mapping[Perturbation, Responses | Similarities]:
    """Show a network every perturbation of every image, in float32.

    Versions of different perturbations are packed into the same forward passes, and are made when
    their turn comes: no more than `chunk_size` images are in the network at once, and no more
    than that and one batch are held.

    Args:
        network: maps images (m 3 h w) to logits (m classes), or to embeddings (m d).
        perturbations: what to show; of equal ones only one is.
        images: (b 3 h w) in [0, 1].
        maps: (b 1 h w) in [0, 1].
        labels: the target (b) of each image, or its reference embedding (b d).
        chunk_size: images in the network at once; lower it if memory runs out.

    Returns:
        Similarities for references, else responses.
    """
    todo = list(dict.fromkeys(perturbations))
    pending: list[Tensor] = []
    answered: list[Tensor] = []
    counts = []

    def show(least: int) -> None:
        """Show what is pending, as long as there are `least` images of it."""
        while pending and sum(len(part) for part in pending) >= least:
            together = torch.cat(pending)
            answered.append(network(together[:chunk_size]).float())
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
    answers = torch.cat(answered).unflatten(0, (sum(counts), len(images)))  # (versions b _)
    read = _similarities if labels.is_floating_point() else _responses
    parts = zip(todo, answers.split(counts), strict=True)
    return {perturbation: read(part, labels) for perturbation, part in parts}


def _responses(logits: Tensor, labels: Tensor) -> Responses:
    """Read logits (n b classes)."""
    index = labels.expand(len(logits), -1)[..., None]
    return Responses(
        logits.softmax(dim=-1).gather(-1, index)[..., 0].T,
        logits.gather(-1, index)[..., 0].T,
        (logits.argmax(dim=-1) == labels).float().T,
    )


def _similarities(embeddings: Tensor, references: Tensor) -> Similarities:
    """Read embeddings (n b d)."""
    return Similarities(F.cosine_similarity(embeddings, references.to(embeddings), dim=-1).T)
