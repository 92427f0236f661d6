"""The `explainers` command: explain images, compare explainers, and list what there is."""

import argparse
import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

import explainers
from datamodules.errors import DataError
from explainers.allocator import keep_freed_memory
from explainers.bundle import load_explainer
from explainers.comparisons import load_comparison
from explainers.concept import concept_embedding
from explainers.configs import load_untrained
from explainers.costs import sentences
from explainers.dataset_maps import add_data_set_arguments, explain_all
from explainers.errors import InputError
from explainers.export_command import add_arguments as add_export_arguments
from explainers.images import distinct_names
from explainers.references import Gallery, Match, draw_pair, reference
from explainers.scores import table


def explain(arguments: argparse.Namespace) -> int:
    """Explain each image; name those that cannot be read, and go on with the others."""
    explainer: explainers.Explainer
    if arguments.config:
        explainer = load_untrained(arguments.config)
    else:
        explainer = load_explainer(arguments.checkpoint, arguments.allow_other_weights)
    target = arguments.target
    if arguments.concept:
        target = concept_embedding(
            explainer.classifier, arguments.concept, arguments.crop, explainer.embed
        )[None]
    if arguments.images:
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
        if match and isinstance(explainer, explainers.SimilarityExplainer):
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


def _explain_data_set(
    explainer: explainers.Explainer, target: Tensor | int | None, arguments: argparse.Namespace
) -> int:
    for option in ("reference", "gallery", "uncertainty"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is for single images; give them as --image")
    if isinstance(target, int):
        target = torch.tensor([target], device=explainer.device)
    return explain_all(explainer, target, arguments)


def _matches(
    explainer: explainers.Explainer, arguments: argparse.Namespace
) -> Callable[[Path], Match | None]:
    """What to compare each image with, if the command asks for a comparison."""
    if not arguments.reference and not arguments.gallery:
        return lambda image: None
    if not isinstance(explainer, explainers.SimilarityExplainer):
        raise InputError(
            f"{type(explainer).__name__} shows no match of two images; ask FAM, or give its "
            "reference images as --concept"
        )
    if arguments.gallery:
        return Gallery(explainer, arguments.gallery, arguments.crop).nearest
    match = reference(explainer, arguments.reference, arguments.crop)
    return lambda image: match


def compare(arguments: argparse.Namespace) -> int:
    """Score methods on one data set; 2 if one failed on an image."""
    comparison = load_comparison(arguments.config, arguments.checkpoint, arguments.output)
    rows = comparison.run()
    print(f"\n{table(rows)}")
    for sentence in sentences(rows):
        print(f"\n{sentence}")
    if comparison.accuracy:
        low, high = comparison.accuracy["accuracy_interval"]
        print(
            "\nthe nearest reference is of the image's own class for "
            f"{comparison.accuracy['accuracy']:.1f} % [{low:.1f}, {high:.1f}] of "
            f"{comparison.accuracy['images']} images"
        )
    print(f"\nwrote {arguments.output}; look at {arguments.output / 'report.html'}")
    return 2 if any(row["failed"] for row in rows) else 0


def list_explainers(arguments: argparse.Namespace) -> int:
    """Print each explainer and what it is."""
    for name in explainers.__all__:
        kind = getattr(explainers, name)
        if issubclass(kind, explainers.Explainer) and not inspect.isabstract(kind):
            print(f"{name:10} {(inspect.getdoc(kind) or '').splitlines()[0]}")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve the web page until it is interrupted."""
    from explainers.server import serve_page  # only this command needs it

    serve_page(arguments.checkpoint, arguments.config, arguments.host, arguments.port)
    return 0


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all of it was done, 2 on bad input."""
    parser = _OneLineParser(prog="explainers", description="Ask a vision model why.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("explain", help="write the maps of images")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", help="a bundle: folder or hf-hub:org/name")
    which.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a config of train.py, of a method that needs no training",
    )
    given = command.add_mutually_exclusive_group(required=True)
    given.add_argument("--image", nargs="+", metavar="FILE", help="write pictures and arrays")
    given.add_argument(
        "--images", metavar="SOURCE", help="a folder, list or shards; write shards of maps"
    )
    command.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    add_data_set_arguments(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--target", type=int, help="class to explain; by default the predicted one")
    what.add_argument(
        "--concept",
        nargs="+",
        metavar="FILE",
        help="images of a concept to explain instead of a class, where the method can",
    )
    what.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="an image to compare with, or several of a class; drawn with its own map",
    )
    what.add_argument(
        "--gallery", type=Path, metavar="FOLDER", help="compare with the nearest image of these"
    )
    command.add_argument(
        "--crop",
        action="store_true",
        help="show the model its evaluation crop, not the whole image",
    )
    command.add_argument(
        "--uncertainty",
        action="store_true",
        help="tell too how far maps of the mirrored and moved image differ, at the cost of six",
    )
    command.add_argument(
        "--allow-other-weights",
        action="store_true",
        help="go on although the classifier has other weights than the explainer was trained for",
    )
    command.set_defaults(run=explain)
    command = commands.add_parser("compare", help="score methods on one data set")
    command.add_argument("--config", required=True, type=Path, metavar="FILE")
    command.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    command.add_argument(
        "--checkpoint", nargs="*", default=[], help="bundles to compare too, each under its name"
    )
    command.set_defaults(run=compare)
    command = commands.add_parser("serve", help="show a web page that explains images")
    command.add_argument("--checkpoint", nargs="*", default=[], help="bundles; default: all here")
    command.add_argument("--config", nargs="*", default=[], type=Path, metavar="FILE")
    command.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    command.add_argument("--port", type=int, default=7860)
    command.set_defaults(run=serve)
    command = commands.add_parser("export", help="write a file that runs without this library")
    add_export_arguments(command)
    command = commands.add_parser("list", help="list the explainers")
    command.set_defaults(run=list_explainers)
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    try:
        code: int = arguments.run(arguments)
    except (InputError, DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
