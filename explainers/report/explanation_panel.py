"""A panel of images, their maps, and what the maps keep."""

from collections.abc import Mapping

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.images.drawing import captioned, colourise, overlay, panel
from explainers.images.pixel_removal import keep
from explainers.training.trained_weights import scores_with


def explained_panel(
    explainer: Explainer, images: Tensor, start: Mapping[str, Tensor] | None = None
) -> Tensor:
    """One row an image (b 3 h w): image, map, overlay, masked image, the runner-up's overlay.

    Args:
        explainer: draws the maps.
        images: (b 3 h w) in [0, 1].
        start: its weights before training, whose overlay stands in front of the trained map's.
    """
    with torch.no_grad():
        probabilities = explainer.classifier.decision.probabilities(explainer.classifier(images))
    top, classes = probabilities.topk(2, dim=1)
    maps, others = (
        explainer.to_maps(explainer(images, classes[:, rank]).detach()) for rank in (0, 1)
    )
    masked = keep(images, maps)
    before = None
    if start is not None:
        before = explainer.to_maps(scores_with(explainer, start, images, classes[:, 0]))
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
        if before is not None:
            pictures.insert(1, (overlay(images[one], before[one])[0], "before training"))
        rows.append([captioned(picture, text) for picture, text in pictures])
    return panel(rows)
