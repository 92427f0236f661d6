"""`explainers export`: a bundle as one ONNX or torch.export file."""

import argparse
from functools import partial

from explainers.commands.explainer_choice import add_choice, chosen
from explainers.commands.option_values import named_path
from explainers.errors import InputError, require_number, require_whole
from explainers.export.onnx_file import OPSET, export_onnx
from explainers.export.torch_file import export_torch

OPSETS = (18, 23)
"""First and last version of ONNX's operators that torch's exporter writes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_choice(
        parser, "a config of a method that needs no training: says why it cannot be exported"
    )
    parser.add_argument("--format", required=True, choices=["onnx", "torch"])
    parser.add_argument("--output", required=True, type=named_path, metavar="FILE")
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
        help="largest difference from torch; by default 1e-4, and 0.05 in float16",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and print its size and its largest difference from torch."""
    write = export_torch
    if arguments.format == "onnx":
        opset = OPSET if arguments.opset is None else arguments.opset
        require_whole("--opset", opset, *OPSETS)
        write = partial(export_onnx, opset=opset)
    elif arguments.opset is not None:
        raise InputError(f"--opset {arguments.opset} is for --format onnx; leave it out")
    if arguments.tolerance is not None:
        require_number("--tolerance", arguments.tolerance, least=0)
    explainer = chosen(arguments)
    written = write(
        explainer,
        arguments.output,
        with_classifier=arguments.with_classifier,
        half=arguments.precision == "float16",
        tolerance=arguments.tolerance,
    )
    opset = f", opset {written.metadata['opset']}" if "opset" in written.metadata else ""
    print(
        f"{written.path}: {arguments.precision}{opset}, {written.size / 1e6:.1f} MB, differs from "
        f"torch by at most {written.difference:.1e}"
    )
    return 0
