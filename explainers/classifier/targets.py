"""Targets of explanations: classes by number or name, predicted ones, and those that images show."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from explainers.classifier.class_names import class_of
from explainers.classifier.frozen_classifier import FrozenClassifier
from explainers.errors import InputError


def as_target(
    given: Tensor | int | str | Sequence[int | str] | None,
    count: int,
    names: Sequence[str],
    device: torch.device,
) -> Tensor | None:
    """A target as tensor: labels (b) from numbers or names, one for all images or one each.

    Of tensors the values stay as they are, and None stays None.

    Raises:
        InputError: no class has such a name, or several have.
    """
    if given is None:
        return None
    if not isinstance(given, Tensor):
        each = [given] * count if isinstance(given, int | str) else given
        given = torch.tensor(
            [class_of(one, names) if isinstance(one, str) else one for one in each]
        )
    return given.to(device)


@torch.no_grad()
def labels_of(classifier: FrozenClassifier, images: Tensor, target: Tensor | None) -> Tensor:
    """Labels (b): a target, checked, or the predicted classes of images (b 3 h w).

    Raises:
        InputError: the classifier has no classes, a label is outside of them, or the labels are
            no whole numbers, one an image.
    """
    if target is None:
        if not classifier.num_classes:
            raise InputError(
                f"{classifier.name} has no classes; give reference embeddings as target "
                "(--concept), num_classes and the weights of a head, or, to a CLIP network, texts "
                "as classes (--classes, --text)"
            )
        logits: Tensor = classifier(images)
        return logits.argmax(dim=1)
    require_as_many(images, target)
    if target.ndim > 1 or target.dtype == torch.bool:
        kind = str(target.dtype).removeprefix("torch.")
        raise InputError(
            f"labels must be int64 ({len(images)}), one an image, got {kind} {tuple(target.shape)}"
        )
    outside = target[(target < 0) | (target >= classifier.num_classes)]
    if len(outside):
        raise InputError(
            f"target {int(outside[0])} is outside the classes of {classifier.name}; "
            f"choose 0 to {classifier.num_classes - 1}"
        )
    return target.long()


def require_as_many(images: Tensor, target: Tensor) -> None:
    """Refuse targets that are not as many as the images: raise InputError."""
    count = len(target) if target.ndim else "a single number"
    if count != len(images):
        raise InputError(f"{len(images)} images need as many targets, got {count}")


def require_references(images: Tensor, target: Tensor, width: int, name: str) -> None:
    """Refuse references that cannot be embeddings of images (b _ _ _).

    Args:
        images: what is explained.
        target: the references.
        width: of an embedding.
        name: of the network that embeds.

    Raises:
        InputError: they are not (b width), or not finite.
    """
    require_as_many(images, target)
    fits = target.shape == (len(images), width)
    if not fits or not target.isfinite().all():
        values = ", of which some are NaN or infinite" if fits else ""
        raise InputError(
            f"references must be finite and ({len(images)} {width}), as explainer.embed makes them "
            f"of {name}, got {tuple(target.shape)}{values}"
        )


class Given(NamedTuple):
    """Images to explain, and what for.

    Attributes:
        images: (n 3 h w).
        target: labels (n), references (n d), or None for the predicted classes.
        originals: each image as it is to be looked at (3 _ _).
        names: of files.
    """

    images: Tensor
    target: Tensor | None
    originals: Sequence[Tensor]
    names: Sequence[str]


@torch.no_grad()
def for_each_shown_class(classifier: FrozenClassifier, given: Given) -> Given:
    """Where images can show several classes and no target is given, each image once for each.

    At least once; the label is added to the name. See `Decision.shown`.
    """
    images, target, originals, names = given
    if target is not None or classifier.decision.exclusive or not classifier.num_classes:
        return given
    logits: Tensor = classifier(images)
    index, labels = classifier.decision.shown(logits).nonzero(as_tuple=True)
    pairs = list(zip(index.tolist(), labels.tolist(), strict=True))
    shown = [originals[one] for one, _ in pairs]
    return Given(images[index], labels, shown, [f"{names[one]}-{label}" for one, label in pairs])
