"""Files of the answers of several methods: a picture of each, one of all, and the arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from explainers.app.workbench import Answer
from explainers.images.drawing import captioned, panel, save_picture
from explainers.images.drawing_style import DrawingStyle


class Files(NamedTuple):
    """Files that answers were written to.

    Attributes:
        pictures: one an image of each answer, each with its caption.
        png: the picture or, of several, all side by side, each under its method's name.
        npz: the arrays of `Explanation.save` or, of several, the same as METHOD/NAME/map and so on.
    """

    pictures: list[tuple[Path, str]]
    png: Path
    npz: Path


def write_answers(answers: Sequence[Answer], style: DrawingStyle, folder: Path) -> Files:
    """Draw answers, and write them into a folder of their own."""
    drawn: list[Tensor] = []
    pictures: list[tuple[Path, str]] = []
    arrays: dict[str, Any] = {}
    for answer in answers:
        text = f"{answer.method}: {answer.seconds:.1f} s"
        for name, picture, kept in zip(
            answer.explanation.names,
            answer.explanation.pictures(style),
            answer.explanation.arrays(),
            strict=True,
        ):
            file = save_picture(picture, folder / f"{len(pictures)}.png")
            pictures.append((file, text))
            drawn.append(captioned(picture, text, max(22, round(picture.shape[2] / 26))))
            arrays |= {f"{answer.method}/{name}/{key}": value for key, value in kept.items()}
    if len(pictures) == 1:
        png = pictures[0][0].rename(folder / "explanation.png")
        pictures = [(png, pictures[0][1])]
        arrays = {key.rpartition("/")[2]: value for key, value in arrays.items()}
    else:
        height, width = (max(picture.shape[side] for picture in drawn) for side in (1, 2))
        padded = [
            F.pad(one, (0, width - one.shape[2], 0, height - one.shape[1]), value=1.0)
            for one in drawn
        ]
        png = save_picture(panel([padded]), folder / "explanation.png")
    npz = folder / "explanation.npz"
    np.savez_compressed(npz, **arrays)
    return Files(pictures, png, npz)
