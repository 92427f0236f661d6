"""A panel of images, their maps, and what the maps keep."""

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.images.drawing import captioned, colourise, overlay, panel
from explainers.images.pixel_removal import keep


def explained_panel(explainer: Explainer, images: Tensor) -> Tensor:
    """One row an image (b 3 h w): image, map, overlay, masked image, the runner-up's overlay."""
    with torch.no_grad():
        probabilities = explainer.classifier.decision.probabilities(explainer.classifier(images))
    top, classes = probabilities.topk(2, dim=1)
    maps, others = (
        explainer.to_maps(explainer(images, classes[:, rank]).detach()) for rank in (0, 1)
    )
    masked = keep(images, maps)
    names = explainer.classifier.class_names
    rows = []
    for index in range(len(images)):
        first, second = (
            f"{names[classes[index, rank]]} {100 * top[index, rank]:.0f} %" for rank in (0, 1)
        )
        one = slice(index, index + 1)
        pictures = [
            (images[index], first),
            (colourise(maps[one])[0], "map"),
            (overlay(images[one], maps[one])[0], first),
            (masked[index], "kept"),
            (overlay(images[one], others[one])[0], second),
        ]
        rows.append([captioned(picture, text) for picture, text in pictures])
    return panel(rows)
