"""Explanations of images: a map and scores an image, with target, probability and caption."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from explainers.images.drawing import save_picture
from explainers.images.drawing_style import DrawingStyle
from explainers.images.reading import at_sizes_of


class Answer(NamedTuple):
    """An explainer's answer to a batch, before it is brought to the images' own sizes.

    Attributes:
        maps: (b 1 h w) in [0, 1].
        scores: (b 1 h w).
        target: labels (b), or references (b d).
        probabilities: of the labels (b).
        uncertainties: (b 1 h w); None unless requested.
        signed: whether scores below 0 are negative attribution.
    """

    maps: Tensor
    scores: Tensor
    target: Tensor
    probabilities: Tensor
    uncertainties: Tensor | None
    signed: bool


@dataclass(frozen=True)
class Explanation:
    """The explanations of one or more images, which may differ in size.

    Attributes:
        images: the explained images, each (3 h w) in [0, 1].
        map_list: each (1 h w) in [0, 1], where 1 means important.
        score_list: each (1 h w), as the method gives them, signed where it is signed.
        target: the explained labels (b), or references (b d).
        probabilities: the classifier's probability of the label (b); NaN for references.
        captions: a class name an image.
        names: file names that `save` gives, without suffix.
        uncertainty_list: each (1 h w), the standard deviation of the map under small changes of
            the image; see `agreement.disagreement`. None unless requested.
        signed: whether scores below 0 are negative attribution.
    """

    images: Sequence[Tensor]
    map_list: Sequence[Tensor]
    score_list: Sequence[Tensor]
    target: Tensor
    probabilities: Tensor
    captions: Sequence[str]
    names: Sequence[str]
    uncertainty_list: Sequence[Tensor] | None = None
    signed: bool = False

    @classmethod
    def of(
        cls,
        answer: Answer,
        images: Sequence[Tensor],
        names: Sequence[str],
        class_names: Sequence[str],
    ) -> "Explanation":
        """An answer at the images' own sizes, captioned by the names of the classes."""
        labelled = not answer.target.is_floating_point()
        uncertainties = answer.uncertainties
        return cls(
            images=images,
            map_list=at_sizes_of(images, answer.maps),
            score_list=at_sizes_of(images, answer.scores),
            target=answer.target.cpu(),
            probabilities=answer.probabilities.cpu(),
            captions=[class_names[int(one)] if labelled else "reference" for one in answer.target],
            names=names,
            uncertainty_list=None if uncertainties is None else at_sizes_of(images, uncertainties),
            signed=answer.signed,
        )

    @property
    def maps(self) -> Tensor:
        """The maps (b 1 h w) in [0, 1].

        Raises:
            ValueError: the images differ in size; iterate, or index, for the map of each.
        """
        return _stack(self.map_list)

    @property
    def scores(self) -> Tensor:
        """The method's scores (b 1 h w); raises as `maps` does."""
        return _stack(self.score_list)

    @property
    def uncertainties(self) -> Tensor:
        """The mean uncertainty (b) of each map, from 0, certain, to 0.5.

        Raises:
            ValueError: it was not requested.
        """
        if self.uncertainty_list is None:
            raise ValueError("not known; ask for it by explain(…, uncertainty=True)")
        return torch.stack([one.mean() for one in self.uncertainty_list])

    def __len__(self) -> int:
        return len(self.map_list)

    def __getitem__(self, index: int) -> "Explanation":
        """The explanation of one image."""
        index = range(len(self))[index]
        one = slice(index, index + 1)
        return Explanation(
            self.images[one],
            self.map_list[one],
            self.score_list[one],
            self.target[one],
            self.probabilities[one],
            self.captions[one],
            self.names[one],
            None if self.uncertainty_list is None else self.uncertainty_list[one],
            self.signed,
        )

    def __iter__(self) -> Iterator["Explanation"]:
        return (self[index] for index in range(len(self)))

    def pictures(self, style: DrawingStyle = DrawingStyle()) -> list[Tensor]:  # noqa: B008  it is frozen
        """Draw each as a picture (3 _ _) in [0, 1], with its class above and a legend below.

        Signed scores are red where positive, blue where negative, and white at zero.
        """
        drawn = []
        for one in self:
            text, probability = one.captions[0], float(one.probabilities[0])
            if not np.isnan(probability):
                text += f"  {100 * probability:.1f} %"
            drawn.append(
                style.draw(one.images[0], one.map_list[0], one.score_list[0], one.signed, text)
            )
        return drawn

    def arrays(self) -> list[dict[str, Any]]:
        """The arrays that `save` writes, one dict an image."""
        saved = []
        for one in self:
            arrays: dict[str, Any] = {
                "map": one.map_list[0][0].numpy(),
                "scores": one.score_list[0][0].numpy(),
                "target": one.target[0].numpy(),
                "probability": np.float32(one.probabilities[0]),
            }
            if one.uncertainty_list is not None:
                arrays["uncertainty"] = one.uncertainty_list[0][0].numpy()
            saved.append(arrays)
        return saved

    def save(self, folder: str | Path, style: DrawingStyle = DrawingStyle()) -> list[Path]:  # noqa: B008
        """Write NAME.png, one of `pictures`, and NAME.npz for each image.

        The npz holds `map` (h w) float32 in [0, 1], `scores` (h w), `target` and `probability`;
        and `uncertainty` (h w), if requested.

        Returns:
            The PNG files.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for one in self:
            path = folder / one.names[0]
            (picture,), (arrays,) = one.pictures(style), one.arrays()
            path.parent.mkdir(parents=True, exist_ok=True)  # names may have folders of their own
            files.append(save_picture(picture, path.with_name(path.name + ".png")))
            np.savez_compressed(path.with_name(path.name + ".npz"), **arrays)
        return files


def _stack(maps: Sequence[Tensor]) -> Tensor:
    sizes = {tuple(one.shape[-2:]) for one in maps}
    if len(sizes) > 1:
        raise ValueError(
            f"the images have {len(sizes)} different sizes; take explanation[i].maps for each"
        )
    return torch.stack(list(maps))
