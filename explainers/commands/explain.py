"""`explainers explain`: pictures and arrays of images, or the maps of a data set."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from datamodules.samples.image_files import EXTENSIONS
from explainers.base import Explainer
from explainers.commands.explainer_choice import chosen
from explainers.commands.reference_images import Gallery, Match, draw_pair, reference
from explainers.commands.target_options import chosen_targets
from explainers.errors import InputError
from explainers.explanation import Explanation
from explainers.images.reading import distinct_names
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


def run(arguments: argparse.Namespace) -> int:
    """Explain each image; name those that cannot be read, and go on with the others."""
    _require_the_right_option(arguments)
    explainer = chosen(arguments)
    targets = chosen_targets(explainer, arguments)
    if arguments.images is not None:
        return _explain_data_set(explainer, targets, arguments)
    matches = _matches(explainer, arguments)
    failed = 0
    names = distinct_names(arguments.image)
    todo = list(zip(arguments.image, names, strict=True))
    for path, name in tqdm(todo, unit="image", disable=len(todo) == 1):
        try:
            match = matches(Path(path))
            wanted: list[Tensor | None] = [match.target] if match else [*targets] or [None]
            explanations = [
                one
                for target in wanted
                for one in explainer.explain(path, target, arguments.crop, arguments.uncertainty)
            ]
        except InputError as error:
            if len(todo) == 1:
                raise
            failed += 1
            tqdm.write(f"error: {error}", file=sys.stderr)
            continue
        for index, one in enumerate(explanations):
            label = index if one.target.is_floating_point() else int(one.target)
            if arguments.text:
                one = dataclasses.replace(one, captions=[arguments.text[index]])
            called = f"{name}-{label}" if len(explanations) > 1 else name
            (picture,) = dataclasses.replace(one, names=[called]).save(arguments.output)
            tqdm.write(_line(explainer, Path(path), one, match, picture, arguments))
    return 2 if failed else 0


def _line(
    explainer: Explainer,
    path: Path,
    explanation: Explanation,
    match: Match | None,
    picture: Path,
    arguments: argparse.Namespace,
) -> str:
    """The line about a picture; where images are compared, of that of the pair, which it writes."""
    text = f"{picture}: {explanation.captions[0]}"
    if match and isinstance(explainer, SimilarityExplainer):
        pair = picture.with_name(f"{picture.stem}-pair.png")
        similarity = draw_pair(explainer, path, match, pair, arguments.crop)
        text = f"{pair}: {explainer.metric} {similarity:.3f} to {', '.join(map(str, match.files))}"
    elif not explanation.target.is_floating_point():
        text += f" ({100 * float(explanation.probabilities[0]):.1f} %)"
    if arguments.uncertainty:
        text += f", uncertainty {float(explanation.uncertainties[0]):.3f}"
    return text


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
    explainer: Explainer, targets: Sequence[Tensor], arguments: argparse.Namespace
) -> int:
    for option in ("reference", "gallery", "uncertainty"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is for single images; give them as --image")
    if len(targets) > 1:
        raise InputError(f"--images takes one target, got {len(targets)}; run it once for each")
    from explainers.commands.dataset_maps import explain_all  # which knows training and tests

    return explain_all(explainer, targets[0] if targets else None, arguments)


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
