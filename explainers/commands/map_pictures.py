"""Pictures beside shards of maps: `explainers explain --images FOLDER --pictures`."""

import dataclasses
from collections import Counter
from pathlib import Path

from datamodules.samples.image_source import ImageSource
from explainers.commands.prepared_images import Prepared
from explainers.explanation import Explanation
from explainers.images.drawing_style import DEFAULT_STYLE, DrawingStyle
from explainers.images.figure import save_figure
from explainers.images.reading import at_size, to_tensor

PICTURES = "pictures"
"""Folder of the pictures, beside the shards."""


class MapPictures:
    """Writes the picture of each map, called as its image.

    Args:
        folder: of the shards.
        contents: all images; where several have the same key, their positions are added.
        style: of the pictures.
        kind: of their files: one of `drawing_choices.FORMATS`.
    """

    def __init__(
        self,
        folder: Path,
        contents: ImageSource,
        style: DrawingStyle = DEFAULT_STYLE,
        kind: str = "png",
    ) -> None:
        self.style = style
        self.kind = kind
        self.folder = folder / PICTURES
        keys = [contents.key(index) for index in range(len(contents))]
        self._repeated = {key for key, count in Counter(keys).items() if count > 1}

    def write(self, position: int, prepared: Prepared, explanation: Explanation) -> Path:
        """Draw an explanation over its image, at the image's own size, unless that was cropped."""
        name = prepared.key.replace("/", "_")
        if prepared.key in self._repeated:
            name = f"{name}-{position:06d}"
        if prepared.whole is not None:
            sized = [
                [at_size(one[0], prepared.size)]
                for one in (explanation.map_list, explanation.score_list)
            ]
            image = to_tensor(prepared.whole, prepared.size, None)
            explanation = dataclasses.replace(
                explanation, images=[image], map_list=sized[0], score_list=sized[1]
            )
        (figure,) = explanation.figures(self.style)
        return save_figure(figure, self.folder / f"{name}.{self.kind}")
