"""The panel of a comparison: its first images, and every method's map over each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from explainers.images.drawing import captioned, panel, save_picture

Columns = dict[str, list[Tensor]]
"""Pictures (3 h w), one an image, by method, `image` or `reference`."""


def columns_of(batches: Iterable[dict[str, Any]], pictures: Columns, count: int) -> Columns:
    """The first images with their references, and each method's overlays.

    Args:
        batches: the images, each with its `reference` where it has one.
        pictures: the overlays of each method; one that lacks some is left out.
        count: of the images.
    """
    given: Columns = {"image": [], "reference": []}
    for batch in batches:
        for part, shown in given.items():
            pictured = batch.get(part, torch.empty(0))
            shown += list(pictured if pictured.ndim < 5 else pictured[:, 0])
        if len(given["image"]) >= count:
            break
    return {part: shown[:count] for part, shown in given.items() if shown} | {
        name: shown for name, shown in pictures.items() if len(shown) >= count
    }


def write_panel(columns: Columns, path: Path) -> None:
    """Write a picture: a row an image, a column a method, the image and its reference first."""
    height = min(len(column) for column in columns.values())
    grid = [
        [captioned(column[row], name) for name, column in columns.items()] for row in range(height)
    ]
    save_picture(panel(grid), path)
