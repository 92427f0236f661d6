"""Options of `explainers export`."""

import argparse

from explainers.commands.option_values import named_path
from explainers.commands.options.explainer_choice import add_choice

OPSET = 20
"""Version of ONNX's operators: `explainers.export.onnx_file.OPSET`."""

OPSETS = (18, 23)
"""First and last version of ONNX's operators that torch's exporter writes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_choice(
        parser, "a config of a method that needs no training: says why it cannot be exported"
    )
    parser.add_argument(
        "--format", required=True, choices=["onnx", "torch"], help="torch is torch.export's"
    )
    parser.add_argument(
        "--output", required=True, type=named_path, metavar="FILE", help="FILE.onnx or FILE.pt2"
    )
    parser.add_argument(
        "--with-classifier",
        action="store_true",
        help="answer with logits too, and explain the predicted class where the label is -1",
    )
    parser.add_argument("--precision", choices=["float32", "float16"], default="float32")
    parser.add_argument(
        "--opset",
        type=int,
        help=f"of ONNX's operators, {OPSETS[0]} to {OPSETS[1]}; by default {OPSET}",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference from torch; by default 1e-3, and 0.05 in float16",
    )
