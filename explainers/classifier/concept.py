"""Concept embeddings of a few images, targets for explainers of reference embeddings."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from explainers.classifier.frozen_classifier import FrozenClassifier
from explainers.errors import InputError
from explainers.images.reading import ImageLike, open_image, to_tensor


@torch.no_grad()
def concept_embedding(
    classifier: FrozenClassifier,
    images: Tensor | Sequence[ImageLike],
    crop: bool = False,
    embed: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The mean (d) of the embeddings of images, which are not normalised; CDAM, "concept".

    `explainer.explain(image, concept_embedding(…)[None])` asks where an image shows the concept.

    Args:
        classifier: what is explained.
        images: a tensor (n 3 h w) in [0, 1], or paths and PIL images.
        crop: show files as the classifier is evaluated, cropped, not whole.
        embed: maps images (n 3 h w) to embeddings (n d); by default the classifier's own.

    Raises:
        InputError: there are no images, one cannot be read, or the classifier is none of timm's.
    """
    if not len(images):
        raise InputError("a concept needs at least one image, got none")
    if not isinstance(images, Tensor):
        fraction = classifier.crop_fraction if crop else None
        images = torch.stack(
            [to_tensor(open_image(image), classifier.size, fraction) for image in images]
        )
    return (embed or classifier.embed)(images.to(classifier.mean)).mean(dim=0)
