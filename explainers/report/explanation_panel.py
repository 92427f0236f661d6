"""A panel of images, their maps, and what the maps keep."""

from collections.abc import Mapping

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.images.drawing import colourise, overlay
from explainers.images.enlargement import smooth
from explainers.images.figure import figure_of, rendered
from explainers.images.pixel_removal import keep
from explainers.images.tiles import Tile
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
    for index, image in enumerate(images.cpu()):
        first, second = (
            (names[classes[index, rank]], f"{100 * top[index, rank]:.0f} %") for rank in (0, 1)
        )
        tiles = [
            Tile(image, *first),
            Tile(colourise(smooth(maps[index])[None])[0], "map"),
            _overlaid(image, maps[index], first),
            Tile(masked[index].cpu(), "kept"),
            _overlaid(image, others[index], second),
        ]
        if before is not None:
            tiles.insert(1, _overlaid(image, before[index], ("before training", "")))
        rows.append(tiles)
    return rendered(figure_of(rows))


def _overlaid(image: Tensor, one_map: Tensor, words: tuple[str, str]) -> Tile:
    return Tile(overlay(image[None], smooth(one_map)[None])[0], *words)
