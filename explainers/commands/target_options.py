"""The chosen targets: classes by number or name, texts, or a concept."""

import argparse
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier.class_names import class_of
from explainers.classifier.concept import concept_embedding
from explainers.classifier.text_tower import NEUTRAL_TEXT
from explainers.errors import InputError, require_whole
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


def chosen_targets(explainer: Explainer, arguments: argparse.Namespace) -> list[Tensor]:
    """The targets, each a label (1) or a reference (1 d); none where the image decides.

    Raises:
        InputError: a class is unknown, the network encodes no texts, or an image of the concept
            cannot be read.
    """
    device = explainer.device
    if arguments.target:
        labels = [_class_of(one, explainer) for one in arguments.target]
        return [torch.tensor([label], device=device) for label in labels]
    if arguments.text and isinstance(explainer, SimilarityExplainer):
        return list(explainer.classifier.text_rows(arguments.text).split(1))
    if arguments.text:
        labels = labels_of_texts(explainer, arguments.text)
        return [torch.tensor([label], device=device) for label in labels]
    if arguments.concept:
        images, crop = arguments.concept, arguments.crop
        return [concept_embedding(explainer.classifier, images, crop, explainer.embed)[None]]
    return []


def labels_of_texts(explainer: Explainer, texts: Sequence[str]) -> list[int]:
    """The labels of texts, which become classes of the explainer where they are none yet.

    A single text, with no classes beside it, is told apart from `NEUTRAL_TEXT`.

    Raises:
        InputError: as `Explainer.tell_apart`.
    """
    known: list[str] = list(explainer.classifier.source.get("classes") or ())
    wanted = list(dict.fromkeys([*known, *texts]))
    if len(wanted) < 2:
        wanted.append(NEUTRAL_TEXT)
    if wanted != known:
        explainer.tell_apart(wanted)
    return [wanted.index(text) for text in texts]


def _class_of(target: str, explainer: Explainer) -> int:
    """The number of a class, given by number or by name, that the classifier has."""
    if not re.fullmatch(r"[+-]?\d+", target):
        return class_of(target, explainer.classifier.class_names)
    number = int(target) if len(target) < 20 else 10**20  # too large for a tensor, like all longer
    classes = explainer.classifier.num_classes
    if not classes:
        require_whole("--target", number, 0, 2**63 - 1)
    elif not 0 <= number < classes:
        raise InputError(
            f"target {target[:100]} is outside the classes of {explainer.classifier.name}; "
            f"choose 0 to {classes - 1}"
        )
    return number
