"""Options of `explainers explain`."""

import argparse

from explainers.commands.option_values import named_path
from explainers.commands.options.dataset_maps import add_data_set_arguments
from explainers.commands.options.drawing import add_drawing_arguments
from explainers.commands.options.explainer_choice import add_choice
from explainers.commands.options.targets import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_choice(parser, "a config of train.py, of a method that needs no training")
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument(
        "--image", nargs="+", metavar="FILE", help="images; write a picture and arrays of each"
    )
    images.add_argument(
        "--example",
        nargs="+",
        metavar="NAME",
        help="photographs that packages of the extra demo carry: coffee, for example",
    )
    images.add_argument(
        "--images",
        type=_source,
        metavar="SOURCE",
        help="a folder, list or shards of images; write shards of maps",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=named_path,
        metavar="FOLDER",
        help="or FILE.png, .jpg, .pdf or .svg: one figure of all images, and no arrays",
    )
    add_drawing_arguments(parser)
    add_data_set_arguments(parser)
    add_target_arguments(parser)
    parser.add_argument(
        "--crop",
        action="store_true",
        help="show the model its evaluation crop, not the whole image",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also print how far maps of mirrored and shifted copies differ; takes six maps each",
    )


def _source(text: str) -> str:
    named_path(text)
    return text
