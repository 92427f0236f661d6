"""Options that choose what is explained: classes by number or name, texts, or a concept."""

import argparse
from pathlib import Path


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, of which one is given at most."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--target",
        nargs="+",
        metavar="CLASS",
        help="numbers or names of the classes to explain; by default what the image shows",
    )
    target.add_argument(
        "--text",
        nargs="+",
        metavar="TEXT",
        help="texts to explain, told apart from the classes; for a network with a text tower",
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
        "--gallery", type=Path, metavar="FOLDER", help="compare with the nearest image in it"
    )
