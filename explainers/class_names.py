"""What a classifier's outputs are called."""

from typing import Any

from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset


def class_names(model: Any, num_classes: int) -> list[str]:  # noqa: ANN401  any timm model
    """Names from the model's own configuration, else ImageNet's if it has as many classes.

    Models that are none of timm's, or of another number of classes, get `class 0`, `class 1`, …
    """
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
