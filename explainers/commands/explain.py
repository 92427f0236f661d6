"""`explainers explain`: pictures and arrays of images, or the maps of a data set."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from datamodules.photos import package_photographs
from datamodules.samples.image_files import EXTENSIONS
from explainers.base import Explainer
from explainers.commands.explainer_choice import chosen
from explainers.commands.options.drawing import chosen_kind, chosen_style, is_one_figure
from explainers.commands.reference_images import Gallery, Match, draw_pair, reference
from explainers.commands.target_options import chosen_targets
from explainers.errors import InputError, require_known
from explainers.explanation import Explanation
from explainers.images.drawing_choices import FORMATS
from explainers.images.figure import save_figure
from explainers.images.labelled_maps import LabelledMap, figure_of_maps
from explainers.images.reading import distinct_names
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer


def run(arguments: argparse.Namespace) -> int:
    """Explain each image; name those that cannot be read, and go on with the others."""
    if arguments.example:
        arguments.image = [_example(name) for name in arguments.example]
    _require_the_right_option(arguments)
    style, one_figure = chosen_style(arguments), is_one_figure(arguments)
    explainer = chosen(arguments)
    targets = chosen_targets(explainer, arguments)
    if arguments.images is not None:
        return _explain_data_set(explainer, targets, arguments)
    matches = _matches(explainer, arguments)
    failed = 0
    rows: list[list[LabelledMap]] = []
    names = distinct_names(arguments.image)
    todo = list(zip(arguments.image, names, strict=True))
    for path, name in tqdm(todo, unit="image", disable=len(todo) == 1 or None):
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
        rows.append([])
        for index, one in enumerate(explanations):
            label = index if one.target.is_floating_point() else int(one.target)
            if arguments.text:
                one = dataclasses.replace(one, captions=[arguments.text[index]])
            if one_figure:
                rows[-1] += one.labelled()
                tqdm.write(f"{path}: {_in_words(one)}")
                continue
            called = f"{name}-{label}" if len(explanations) > 1 else name
            one = dataclasses.replace(one, names=[called])
            (picture,) = one.save(arguments.output, style, chosen_kind(arguments))
            tqdm.write(_line(explainer, Path(path), one, match, picture, arguments))
    if one_figure and rows:
        print(save_figure(figure_of_maps(rows, style), arguments.output))
    return 2 if failed else 0


def _example(name: str) -> str:
    """The file of a photograph that a package carries."""
    try:
        files = {path.stem: str(path) for path in package_photographs()}
    except ModuleNotFoundError as error:
        raise InputError(f"--example {name}: {error}") from error
    require_known("photograph", name, files)
    return files[name]


def _line(
    explainer: Explainer,
    path: Path,
    explanation: Explanation,
    match: Match | None,
    picture: Path,
    arguments: argparse.Namespace,
) -> str:
    """The line about a picture; where images are compared, about the pair's, which it writes."""
    text = f"{picture}: {_in_words(explanation)}"
    if match and isinstance(explainer, SimilarityExplainer):
        pair = picture.with_name(f"{picture.stem}-pair{picture.suffix}")
        similarity = draw_pair(
            explainer, path, match, pair, chosen_style(arguments), arguments.crop
        )
        text = f"{pair}: {explainer.metric} {similarity:.3f} to {', '.join(map(str, match.files))}"
        text += _uncertainty(explanation)
    return text


def _in_words(explanation: Explanation) -> str:
    """Class, probability and uncertainty of an explanation, as far as they are known."""
    (one,) = explanation.labelled()
    caveat = f": {one.caveat}" if one.caveat else ""
    shown = f" ({one.percent}){caveat}" if one.percent else ""
    return f"{one.caption}{shown}{_uncertainty(explanation)}"


def _uncertainty(explanation: Explanation) -> str:
    if explanation.uncertainty_list is None:
        return ""
    return f", uncertainty {float(explanation.uncertainties[0]):.3f}"


def _require_the_right_option(arguments: argparse.Namespace) -> None:
    """Refuse a folder as --image, an image file as --images, and a file as --output."""
    for path in map(Path, arguments.image or ()):
        if path.is_dir():
            raise InputError(f"--image {path} is a folder; give it as --images {path}")
        if path.resolve() == arguments.output.resolve():
            raise InputError(f"--output {path} is an image to explain; name another file")
    if arguments.images is not None:
        path = Path(arguments.images)
        if path.suffix[1:].lower() in EXTENSIONS and path.is_file():
            raise InputError(f"--images {path} is one image; give it as --image {path}")
    if arguments.pictures and arguments.images is None:
        raise InputError("--pictures goes with --images; --image writes pictures by itself")
    output: Path = arguments.output
    if output.is_file() and not is_one_figure(arguments):
        raise InputError(f"--output {output} is a file; name a folder")
    kind = output.suffix[1:].lower()
    if kind in EXTENSIONS and kind not in FORMATS and not output.is_dir():
        raise InputError(
            f"--output {output} is no kind of figure that is written; end it in "
            f".{', .'.join(FORMATS)}, or name a folder"
        )


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
