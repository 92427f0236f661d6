"""The panel of a comparison: its pictured images, and every method's map over each."""

from collections.abc import Sequence
from pathlib import Path

from explainers.evaluation.comparison_results import Pictured
from explainers.images.drawing_style import DEFAULT_STYLE
from explainers.images.figure import save_figure
from explainers.images.labelled_maps import figure_of_maps


def write_panel(pictures: Sequence[Pictured], path: Path) -> None:
    """Write a figure: a row an image, a column a method, the image and its reference first."""
    rows = [list(one.maps.values()) for one in pictures]
    references = [one.reference for one in pictures]
    save_figure(figure_of_maps(rows, DEFAULT_STYLE, references), path)
