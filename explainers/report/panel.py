"""The panel of a comparison: its first images, and every method's map over each."""

from pathlib import Path

from torch import Tensor

from explainers.images.drawing import captioned, panel, save_picture

Columns = dict[str, list[Tensor]]
"""Pictures (3 h w), one an image, by method, `image` or `reference`."""


def write_panel(columns: Columns, path: Path) -> None:
    """Write a picture: a row an image, a column a method, the image and its reference first."""
    height = min(len(column) for column in columns.values())
    grid = [
        [captioned(column[row], name) for name, column in columns.items()] for row in range(height)
    ]
    save_picture(panel(grid), path)
