"""`explainers explain`: pictures and arrays of images, or the maps of a data set."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from datamodules.samples.image_files import EXTENSIONS
from explainers.base import Explainer
from explainers.classifier.class_names import class_of
from explainers.classifier.concept import concept_embedding
from explainers.commands.dataset_maps import add_data_set_arguments, explain_all
from explainers.commands.explainer_choice import add_choice, chosen
from explainers.commands.option_values import named_path
from explainers.commands.reference_images import Gallery, Match, draw_pair, reference
from explainers.errors import InputError, require_whole
from explainers.images.reading import distinct_names
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_choice(parser, "a config of train.py, of a method that needs no training")
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument("--image", nargs="+", metavar="FILE", help="write pictures and arrays")
    images.add_argument(
        "--images",
        type=_source,
        metavar="SOURCE",
        help="a folder, list or shards; write shards of maps, and pictures with --pictures",
    )
    parser.add_argument("--output", required=True, type=named_path, metavar="FOLDER")
    add_data_set_arguments(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--target",
        metavar="CLASS",
        help="number or name of the class to explain; by default the predicted one",
    )
    target.add_argument(
        "--concept",
        nargs="+",
        metavar="FILE",
        help="images of a concept to explain instead of a class, where the method can",
    )
    target.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="an image to compare with, or several of a class; drawn with its own map",
    )
    target.add_argument(
        "--gallery", type=Path, metavar="FOLDER", help="compare with the nearest image of these"
    )
    parser.add_argument(
        "--crop",
        action="store_true",
        help="show the model its evaluation crop, not the whole image",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="tell too how far maps of the mirrored and moved image differ, at the cost of six",
    )


def _source(text: str) -> str:
    named_path(text)
    return text


def run(arguments: argparse.Namespace) -> int:
    """Explain each image; name those that cannot be read, and go on with the others."""
    _require_the_right_option(arguments)
    explainer = chosen(arguments)
    target = arguments.target
    if target is not None:
        target = arguments.target = _class_of(target, explainer)
    if arguments.concept:
        target = concept_embedding(
            explainer.classifier, arguments.concept, arguments.crop, explainer.embed
        )[None]
    if arguments.images is not None:
        return _explain_data_set(explainer, target, arguments)
    matches = _matches(explainer, arguments)
    failed = 0
    names = distinct_names(arguments.image)
    todo = list(zip(arguments.image, names, strict=True))
    for path, name in tqdm(todo, unit="image", disable=len(todo) == 1):
        try:
            match = matches(Path(path))
            explanation = explainer.explain(
                path,
                match.target if match else target,
                crop=arguments.crop,
                uncertainty=arguments.uncertainty,
            )
        except InputError as error:
            if len(todo) == 1:
                raise
            failed += 1
            tqdm.write(f"error: {error}", file=sys.stderr)
            continue
        explanation = dataclasses.replace(explanation, names=[name])
        (picture,) = explanation.save(arguments.output)
        text = f"{picture}: {explanation.captions[0]}"
        if match and isinstance(explainer, SimilarityExplainer):
            pair = picture.with_name(f"{name}-pair.png")
            similarity = draw_pair(explainer, Path(path), match, pair, arguments.crop)
            text = f"{pair}: {explainer.metric} {similarity:.3f} to "
            text += ", ".join(map(str, match.files))
        elif not explanation.target.is_floating_point():
            text += f" ({100 * float(explanation.probabilities[0]):.1f} %)"
        if arguments.uncertainty:
            text += f", uncertainty {float(explanation.uncertainties[0]):.3f}"
        tqdm.write(text)
    return 2 if failed else 0


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


def _require_the_right_option(arguments: argparse.Namespace) -> None:
    """Refuse a folder as --image, an image file as --images, and a file as --output."""
    for path in map(Path, arguments.image or ()):
        if path.is_dir():
            raise InputError(f"--image {path} is a folder; give it as --images {path}")
    if arguments.images is not None:
        path = Path(arguments.images)
        if path.suffix[1:].lower() in EXTENSIONS and path.is_file():
            raise InputError(f"--images {path} is one image; give it as --image {path}")
    if arguments.pictures and arguments.images is None:
        raise InputError("--pictures goes with --images; --image writes pictures by itself")
    if arguments.output.is_file():
        raise InputError(f"--output {arguments.output} is a file; name a folder")


def _explain_data_set(
    explainer: Explainer, target: Tensor | int | None, arguments: argparse.Namespace
) -> int:
    for option in ("reference", "gallery", "uncertainty"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is for single images; give them as --image")
    if isinstance(target, int):
        target = torch.tensor([target], device=explainer.device)
    return explain_all(explainer, target, arguments)


def _matches(explainer: Explainer, arguments: argparse.Namespace) -> Callable[[Path], Match | None]:
    """A function from an image to its match; to None where no comparison is asked for."""
    if not arguments.reference and not arguments.gallery:
        return lambda image: None
    if not isinstance(explainer, SimilarityExplainer):
        raise InputError(
            f"{type(explainer).__name__} shows no match of two images; ask FAM, or give its "
            "reference images as --concept"
        )
    if arguments.gallery:
        return Gallery(explainer, arguments.gallery, arguments.crop).nearest
    match = reference(explainer, arguments.reference, arguments.crop)
    return lambda image: match
