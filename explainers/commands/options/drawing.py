"""Command-line options of pictures: colours, opacity, what is drawn, and the kind of file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.errors import InputError
from explainers.images.drawing_choices import (
    COLOUR_MAP,
    COLOUR_MAPS,
    DRAWINGS,
    FORMATS,
    OPACITY,
    SIGNS,
    THEMES,
)

if TYPE_CHECKING:
    from explainers.images.drawing_style import DrawingStyle


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of pictures."""
    group = parser.add_argument_group("pictures")
    group.add_argument("--beside", action="store_true", help="draw the photograph beside the map")
    group.add_argument(
        "--drawing",
        choices=DRAWINGS,
        default=DRAWINGS[0],
        help="colours over the photograph, lines over it, what the map keeps of it, the map alone",
    )
    group.add_argument(
        "--opacity",
        type=float,
        default=OPACITY,
        help=f"of the colours, 0 to 1; by default {OPACITY}",
    )
    group.add_argument(
        "--colours",
        choices=list(COLOUR_MAPS),
        default=COLOUR_MAP,
        help=f"by default {COLOUR_MAP}; signed scores get its diverging counterpart",
    )
    group.add_argument(
        "--sign",
        choices=SIGNS,
        default=SIGNS[0],
        help="part of signed scores to draw",
    )
    group.add_argument("--theme", choices=list(THEMES), default="light", help="colour of the page")
    group.add_argument(
        "--format", choices=FORMATS, help="kind of file in the folder of --output; by default png"
    )


def chosen_style(arguments: argparse.Namespace) -> "DrawingStyle":
    """The style that the options describe; InputError if the opacity is out of range."""
    from explainers.images.drawing_style import DrawingStyle

    return DrawingStyle(
        opacity=arguments.opacity,
        colour_map=arguments.colours,
        sign=arguments.sign,
        beside=arguments.beside,
        drawing=arguments.drawing,
        theme=arguments.theme,
    )


def chosen_kind(arguments: argparse.Namespace) -> str:
    """The kind of the files in the folder of `--output`."""
    return arguments.format or FORMATS[0]


def is_one_figure(arguments: argparse.Namespace) -> bool:
    """Whether `--output` names one figure of all images, by its suffix, instead of a folder.

    Raises:
        InputError: it does, and `--format` or `--images` ask for a folder.
    """
    output: Path = arguments.output
    if output.suffix[1:].lower() not in FORMATS or output.is_dir():
        return False
    if arguments.format is not None or arguments.images is not None:
        option = "format" if arguments.format is not None else "images"
        raise InputError(f"--output {output} is one figure; with --{option}, name a folder")
    return True
