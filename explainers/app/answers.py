"""Files of the answers of several methods: overlays to look at, a picture, and the arrays."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from explainers.app.overlays import Legend, draw_overlay, legend_of
from explainers.app.workbench import MethodAnswer
from explainers.explanation import plot
from explainers.images.drawing import save_picture
from explainers.images.drawing_style import DrawingStyle
from explainers.images.figure import save_figure

PHOTOGRAPH = "Photograph"
LONGEST_NAME = 80  # characters of a file's


class Files(NamedTuple):
    """Files that answers were written to.

    Attributes:
        overlays: one an image of each answer, without a caption of its own, each with a text.
        photograph: the image itself; None where two were compared.
        methods: that answered.
        meanings: what the values of their maps measure.
        signed: some scores below 0 are negative attribution.
        beside: the photograph is to be shown, too.
        legends: of the overlays.
        png: the picture or, of several, all side by side, each under its method's name.
        npz: the arrays of `Explanation.save` or, of several, the same as METHOD/NAME/map and so on.
    """

    overlays: list[tuple[Path, str]]
    photograph: Path | None
    methods: tuple[str, ...]
    meanings: tuple[str, ...]
    signed: bool
    beside: bool
    legends: list[Legend]
    png: Path
    npz: Path


def write_answers(
    answers: Sequence[MethodAnswer], style: DrawingStyle, folder: Path, name: str = "explanation"
) -> Files:
    """Draw answers, and write them into a folder of their own.

    Args:
        answers: one or more, all of the same one image or two.
        style: of the pictures.
        folder: is there, and empty.
        name: of the picture and the arrays, without suffix.
    """
    overlays: list[tuple[Path, str]] = []
    arrays: dict[str, Any] = {}
    for answer in answers:
        found = answer.explanation
        for one, kept in zip(found, found.arrays(), strict=True):
            text = answer.method if len(found) == 1 else f"{answer.method}, {one.captions[0]}"
            file = save_picture(draw_overlay(one, style), folder / f"{len(overlays)}.png")
            overlays.append((file, f"{text} · {answer.seconds:.1f} s"))
            arrays |= {f"{answer.method}/{one.names[0]}/{key}": it for key, it in kept.items()}
    first = answers[0].explanation
    if len(overlays) == 1:
        arrays = {key.rpartition("/")[2]: value for key, value in arrays.items()}
        (figure,) = first.figures(style)
    else:
        figure = plot({one.method: one.explanation for one in answers}, style)
    png = save_figure(figure, folder / f"{name}.png")
    photograph = None
    if len(first) == 1:
        photograph = save_picture(first.images[0], folder / "photograph.png")
    npz = folder / f"{name}.npz"
    np.savez_compressed(npz, **arrays)
    signs = sorted({answer.explanation.signed for answer in answers})
    return Files(
        overlays,
        photograph,
        tuple(answer.method for answer in answers),
        tuple(answer.explanation.meaning for answer in answers),
        signs[-1],
        style.beside,
        [legend_of(signed, style) for signed in signs],
        png,
        npz,
    )


def file_name(*words: str) -> str:
    """A file's name, without suffix, of words in any script; "explanation" without any."""
    plain = (re.sub(r"\W+", "-", word.partition(",")[0]).strip("-") for word in words)
    return "-".join(word for word in plain if word)[:LONGEST_NAME] or "explanation"
