"""Reference images: reading, embedding, nearest of a folder, and drawing beside an image."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from datamodules.samples.image_listing import image_paths
from explainers.classifier.concept import concept_embedding
from explainers.errors import InputError
from explainers.images.drawing_style import DEFAULT_STYLE, DrawingStyle
from explainers.images.figure import figure_of, save_figure
from explainers.images.normalisation import min_max
from explainers.images.reading import at_sizes_of, to_batch
from explainers.methods.similarity.similarities import cosine
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


class Match(NamedTuple):
    """The reference images of an image.

    Attributes:
        target: the embedding (1 d), of several images their mean.
        files: the reference images.
    """

    target: Tensor
    files: Sequence[Path]


class Gallery:
    """Images of a folder and below it, by their embeddings.

    Args:
        explainer: the method whose embeddings are compared.
        folder: of the images.
        crop: show files as the classifier is evaluated, cropped.
        chunk_size: images embedded at once.

    Raises:
        InputError: there is no image in the folder, or one cannot be read.
    """

    def __init__(
        self,
        explainer: SimilarityExplainer,
        folder: Path,
        crop: bool = False,
        chunk_size: int = 32,
    ) -> None:
        self.files = image_paths(folder)
        if not self.files:
            raise InputError(f"no image file in {folder.resolve()}; name a folder of images")
        self.explainer = explainer
        self.crop = crop
        starts = range(0, len(self.files), chunk_size)
        chunks = [self.files[start : start + chunk_size] for start in starts]
        embedded = [
            _embedded(explainer, chunk, crop)
            for chunk in tqdm(chunks, desc="gallery", disable=len(chunks) == 1)
        ]
        self.embeddings = torch.cat(embedded)  # (n d)

    def nearest(self, image: Path) -> Match:
        """The image of the gallery with the highest cosine to `image`, itself left out.

        Raises:
            InputError: the image cannot be read, or is the only one in the folder.
        """
        query = _embedded(self.explainer, [image], self.crop)
        similarities = cosine(query.expand_as(self.embeddings), self.embeddings)
        itself = [file.resolve() == image.resolve() for file in self.files]
        if all(itself):
            raise InputError(f"{image} is the only image of its gallery; name another folder")
        similarities[torch.tensor(itself, device=similarities.device)] = -torch.inf
        index = int(similarities.argmax())
        return Match(self.embeddings[index : index + 1], [self.files[index]])


def reference(explainer: SimilarityExplainer, files: Sequence[Path], crop: bool = False) -> Match:
    """Match any image with these files; raises InputError if one cannot be read."""
    mean = concept_embedding(explainer.classifier, files, crop, explainer.embed)
    return Match(mean[None], files)


def draw_pair(
    explainer: SimilarityExplainer,
    image: Path,
    match: Match,
    path: Path,
    style: DrawingStyle = DEFAULT_STYLE,
    crop: bool = False,
) -> float:
    """Write the maps of an image and of its reference images, side by side.

    Returns:
        The similarity of the image to the embedding of the match.

    Raises:
        InputError: a file cannot be read.
    """
    fraction = explainer.classifier.crop_fraction if crop else None
    tensors, shown, _ = to_batch([image, *match.files], explainer.classifier.size, fraction)
    tensors = tensors.to(explainer.device)
    queries = tensors[:1].expand(len(match.files), -1, -1, -1)
    scores, partner_scores = explainer.pair(
        queries, tensors[1:], match.target.expand(len(queries), -1)
    )
    similarity = float(explainer.similarity(tensors[:1], match.target))
    titles = [image.stem, *(file.stem for file in match.files)]
    values = [f"{explainer.metric} {similarity:.3f}"] + [""] * len(match.files)
    tiles, bars = [], []
    for picture, one, title, value in zip(
        shown, at_sizes_of(shown, torch.cat([scores[:1], partner_scores])), titles, values,
        strict=True,
    ):  # fmt: skip
        drawable = style.drawable(min_max(one[None])[0], one, explainer.signed)
        tiles.append(replace(style.tile(picture, drawable), title=title, value=value))
        bars.append(style.bar(drawable, f"{explainer.label}: {explainer.map_meaning}", False))
    save_figure(figure_of([tiles], [bar for bar in bars[:1] if bar], style.theme), path)
    return similarity


def _embedded(explainer: SimilarityExplainer, files: Sequence[Path], crop: bool) -> Tensor:
    fraction = explainer.classifier.crop_fraction if crop else None
    tensors, _, _ = to_batch(files, explainer.classifier.size, fraction)
    return explainer.embed(tensors.to(explainer.device))
