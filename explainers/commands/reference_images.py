"""Reference images: reading, embedding, nearest of a folder, and drawing beside an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from datamodules.samples.image_listing import image_paths
from explainers.classifier.concept import concept_embedding
from explainers.errors import InputError
from explainers.images.drawing import captioned, centred, overlay, panel, save_picture
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
    explainer: SimilarityExplainer, image: Path, match: Match, path: Path, crop: bool = False
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
    texts = [f"{image.stem}: {explainer.metric} {similarity:.3f}"]
    texts += [file.stem for file in match.files]
    pictures = []
    for picture, one, text in zip(
        shown, at_sizes_of(shown, torch.cat([scores[:1], partner_scores])), texts, strict=True
    ):
        values = centred(one[None]) if explainer.signed else min_max(one[None])
        drawn = overlay(picture[None], values, signed=explainer.signed)
        pictures.append(captioned(_of_height(drawn[0], shown[0].shape[-2]), text))
    widest = max(picture.shape[-1] for picture in pictures)
    save_picture(panel([[_widened(picture, widest) for picture in pictures]]), path)
    return similarity


def _embedded(explainer: SimilarityExplainer, files: Sequence[Path], crop: bool) -> Tensor:
    fraction = explainer.classifier.crop_fraction if crop else None
    tensors, _, _ = to_batch(files, explainer.classifier.size, fraction)
    return explainer.embed(tensors.to(explainer.device))


def _of_height(picture: Tensor, height: int) -> Tensor:
    """Resize a picture (3 _ _) to a height, in proportion."""
    width = max(1, round(height * picture.shape[-1] / picture.shape[-2]))
    resized = F.interpolate(picture[None], (height, width), mode="bilinear", antialias=True)
    return resized[0].clamp(0, 1)


def _widened(picture: Tensor, width: int) -> Tensor:
    return F.pad(picture, (0, width - picture.shape[-1]), value=1.0)
