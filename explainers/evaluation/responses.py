"""Classifier responses to perturbed images, one pass per distinct perturbation."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier.decision import SOFTMAX, Decision
from explainers.metrics.parts.image_mean import Perturbation
from explainers.metrics.parts.perturbations import Whole


class Responses(NamedTuple):
    """Responses of a classifier to the n versions of each image, each (b n).

    Attributes:
        probability: probability of the target.
        logit: the target's logit.
        hit: 1 where the target is a class that the image shows, by the classifier, else 0.
    """

    probability: Tensor
    logit: Tensor
    hit: Tensor


class Similarities(NamedTuple):
    """Similarities of the embeddings of the n versions of each image to a reference.

    Attributes:
        similarity: cosine (b n) to the reference; 0 where one of the two is zero.
    """

    similarity: Tensor


Known = dict[Perturbation, Responses | Similarities]
"""Responses (b n) to perturbations of a batch."""


def unmasked(logits: Tensor, labels: Tensor, decision: Decision) -> Known:
    """Responses to the whole images, for labels (b), from their logits (b classes)."""
    return {Whole(): _responses(logits.float()[None], labels, decision)}


@torch.no_grad()
def sweep(
    network: Callable[[Tensor], Tensor],
    perturbations: Iterable[Perturbation],
    images: Tensor,
    maps: Tensor,
    labels: Tensor,
    chunk_size: int = 64,
    whole: Responses | Similarities | None = None,
    decision: Decision = SOFTMAX,
) -> Known:
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
        whole: responses (b 1) to the images themselves. Versions that are equal to their image get
            these: rounding differs between passes of other sizes, and no metric may see it.
        decision: the reading of logits as probabilities.

    Returns:
        Similarities for references, else responses.
    """
    distinct = list(dict.fromkeys(perturbations))
    pending: list[Tensor] = []
    answered: list[Tensor] = []
    counts = []
    unchanged: list[Tensor] = []

    def show(least: int) -> None:
        """Show what is pending, as long as there are `least` images of it."""
        while pending and sum(len(part) for part in pending) >= least:
            versions = torch.cat(pending)
            answered.append(network(versions[:chunk_size]).float())
            pending[:] = [versions[chunk_size:]] if len(versions) > chunk_size else []

    with torch.autocast(images.device.type, enabled=False):
        for perturbation in distinct:
            count = 0
            for version in perturbation(images, maps):
                pending.append(version.float())
                if whole is not None:
                    unchanged.append((version == images).flatten(1).all(dim=1))
                count += 1
                show(chunk_size)
            counts.append(count)
        show(1)
    if not distinct:
        return {}
    answers = torch.cat(answered).unflatten(0, (sum(counts), len(images)))  # (versions b _)
    found: list[Responses | Similarities] = [
        _similarities(part, labels)
        if labels.is_floating_point()
        else _responses(part, labels, decision)
        for part in answers.split(counts)
    ]
    if whole is not None:
        same = torch.stack(unchanged, dim=1).split(counts, dim=1)  # each (b n)
        found = [_replaced(one, whole, where) for one, where in zip(found, same, strict=True)]
    return dict(zip(distinct, found, strict=True))


def _replaced(
    found: Responses | Similarities, whole: Responses | Similarities, where: Tensor
) -> Responses | Similarities:
    """Responses (b n), those of `whole` (b 1) where a mask (b n) is true."""
    parts = (one.where(~where, other) for one, other in zip(found, whole, strict=True))
    return type(found)(*parts)


def _responses(logits: Tensor, labels: Tensor, decision: Decision) -> Responses:
    """Responses from logits (n b classes)."""
    index = labels.expand(len(logits), -1)[..., None]
    return Responses(
        decision.probabilities(logits).gather(-1, index)[..., 0].T,
        logits.gather(-1, index)[..., 0].T,
        decision.shown(logits).gather(-1, index)[..., 0].float().T,
    )


def _similarities(embeddings: Tensor, references: Tensor) -> Similarities:
    """Similarities from embeddings (n b d)."""
    return Similarities(F.cosine_similarity(embeddings, references.to(embeddings), dim=-1).T)
