"""Explanations of images: a map and scores an image, with target, probability and caption."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from explainers.images.drawing_style import DEFAULT_STYLE, DrawingStyle
from explainers.images.figure import encoded, rendered, save_figure
from explainers.images.labelled_maps import LabelledMap, figure_of_maps
from explainers.images.reading import at_sizes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Answer(NamedTuple):
    """An explainer's answer to a batch, before it is brought to the images' own sizes.

    Attributes:
        maps: (b 1 h w) in [0, 1].
        scores: (b 1 h w).
        target: labels (b), or references (b d).
        probabilities: of the labels (b).
        uncertainties: (b 1 h w); None unless requested.
        signed: whether scores below 0 are negative attribution.
        method: name of the method.
        meaning: what its values measure.
    """

    maps: Tensor
    scores: Tensor
    target: Tensor
    probabilities: Tensor
    uncertainties: Tensor | None
    signed: bool
    method: str = ""
    meaning: str = ""


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
        method: name of the method, as pictures have it.
        meaning: what its values measure.
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
    method: str = ""
    meaning: str = ""

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
            method=answer.method,
            meaning=answer.meaning,
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
        return replace(
            self,
            images=self.images[one],
            map_list=self.map_list[one],
            score_list=self.score_list[one],
            target=self.target[one],
            probabilities=self.probabilities[one],
            captions=self.captions[one],
            names=self.names[one],
            uncertainty_list=self.uncertainty_list and self.uncertainty_list[one],
        )

    def __iter__(self) -> Iterator["Explanation"]:
        return (self[index] for index in range(len(self)))

    def labelled(self) -> list[LabelledMap]:
        """Each map with its image, class and method, to be drawn."""
        maps = zip(self.images, self.map_list, self.score_list, strict=True)
        words = zip(self.captions, self.probabilities.tolist(), strict=True)
        return [
            LabelledMap(*a, *b, method=self.method, meaning=self.meaning, signed=self.signed)
            for a, b in zip(maps, words, strict=True)
        ]

    def figures(self, style: DrawingStyle = DEFAULT_STYLE) -> "list[Figure]":
        """Draw each as a matplotlib figure, with class, probability, method and a colour bar.

        Signed scores are red where positive, blue where negative, and white at zero.
        """
        return [figure_of_maps([[one]], style) for one in self.labelled()]

    def pictures(self, style: DrawingStyle = DEFAULT_STYLE) -> list[Tensor]:
        """The pixels (3 _ _) in [0, 1] of `figures`."""
        return [rendered(figure) for figure in self.figures(style)]

    def _repr_png_(self) -> bytes:
        """The figure that a notebook shows."""
        return encoded(plot(self))

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

    def save(
        self,
        folder: str | Path,
        style: DrawingStyle = DEFAULT_STYLE,
        kind: str = "png",
    ) -> list[Path]:
        """Write NAME.png, one of `figures`, and NAME.npz for each image.

        The npz holds `map` (h w) float32 in [0, 1], `scores` (h w), `target` and `probability`;
        and `uncertainty` (h w), if requested.

        Args:
            folder: of the files, which need not be there.
            style: of the figures.
            kind: of their files: one of `drawing_choices.FORMATS`.

        Returns:
            The files of the figures.
        """
        folder = Path(folder)
        files = []
        for name, figure, arrays in zip(
            self.names, self.figures(style), self.arrays(), strict=True
        ):
            path = folder / name  # names may have folders of their own
            files.append(save_figure(figure, path.with_name(f"{path.name}.{kind}")))
            np.savez_compressed(path.with_name(f"{path.name}.npz"), **arrays)
        return files


def plot(
    explanations: Explanation | Mapping[str, Explanation],
    style: DrawingStyle = DEFAULT_STYLE,
) -> "Figure":
    """Draw explanations of the same images as one figure: a row an image, a column a method.

    Args:
        explanations: of one method, or of several by the name that stands above their maps.
        style: colours, opacity and so on.

    Raises:
        ValueError: there is none, or they are of different numbers of images.
    """
    if isinstance(explanations, Explanation):
        explanations = {explanations.method: explanations}
    lengths = {name: len(one) for name, one in explanations.items()}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        raise ValueError(
            f"every explanation must be of the same images, at least one; got {lengths}"
        )
    columns = [
        [replace(one, method=name) for one in explanation.labelled()]
        for name, explanation in explanations.items()
    ]
    return figure_of_maps(list(zip(*columns, strict=True)), replace(style, beside=True))


def _stack(maps: Sequence[Tensor]) -> Tensor:
    sizes = {tuple(one.shape[-2:]) for one in maps}
    if len(sizes) > 1:
        raise ValueError(
            f"the images have {len(sizes)} different sizes; take explanation[i].maps for each"
        )
    return torch.stack(list(maps))
