"""The images of a data set that depend on the classifier that is explained."""

import torch
from torch import Tensor

from datamodules import ImageDataModule
from explainers.classifier import FrozenClassifier
from explainers.errors import InputError


def choose_images(data: ImageDataModule, classifier: FrozenClassifier) -> str | None:
    """Let a datamodule that is not set up yet choose its images by a classifier's probabilities.

    Returns:
        A line on the images that it uses; None where it uses all.

    Raises:
        InputError: the datamodule asks a classifier that has no classes.
        DataError: too few images can be used.
    """

    @torch.no_grad()
    def probabilities(images: Tensor) -> Tensor:
        if not classifier.num_classes:
            raise InputError(
                f"{classifier.name} has no classes, and {type(data).__name__} chooses images by "
                "them; name a classifier that has some"
            )
        logits: Tensor = classifier(images.to(classifier.mean.device))
        return classifier.decision.probabilities(logits)

    data.choose(probabilities)
    return data.protocol.get("images")
