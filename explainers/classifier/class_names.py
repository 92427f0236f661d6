"""Names of a classifier's outputs."""

from collections.abc import Sequence
from typing import Any

from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

from explainers.errors import InputError


def class_names(
    model: Any,  # noqa: ANN401  any timm model
    num_classes: int,
    given: Sequence[str] | None = None,
) -> list[str]:
    """Given names, or the model's own, else ImageNet's if it has as many classes.

    Models that are none of timm's, or of another number of classes, get `class 0`, `class 1`, …

    Raises:
        InputError: other than `num_classes` names are given.
    """
    if given is not None:
        if len(given) != num_classes:
            raise InputError(
                f"class_names must name all {num_classes} classes in the order of the logits, got "
                f"{len(given)} names"
            )
        return list(given)
    config = getattr(model, "pretrained_cfg", None) or {}
    labels = config.get("label_names") or ()
    if len(labels) == num_classes:
        descriptions = config.get("label_descriptions") or {}
        return [descriptions.get(label, label) for label in labels]
    subset = infer_imagenet_subset(model) if config else None
    if subset is None:
        return [f"class {index}" for index in range(num_classes)]
    info = ImageNetInfo(subset)
    return [info.index_to_description(index) for index in range(num_classes)]
