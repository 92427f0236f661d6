"""Options of `explainers sanity`."""

import argparse

from explainers.commands.option_values import named_path

BOUND = 0.5
"""Similarity below which two heads count as different."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--config",
        required=True,
        type=named_path,
        metavar="FILE",
        help="a config of train.py, of a learned explainer",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=named_path,
        metavar="FOLDER",
        help="folder of the fits and of the verdict",
    )
    parser.add_argument(
        "--bound",
        type=float,
        default=BOUND,
        help=f"similarity below which the heads count as different; by default {BOUND}",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the randomised weights; by default 0"
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help="train a third head, on the true classifier with another seed, as a yardstick",
    )
