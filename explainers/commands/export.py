"""`explainers export`: a bundle as one ONNX or torch.export file."""

import argparse
from functools import partial
from pathlib import Path

from explainers.commands.explainer_choice import add_choice, chosen
from explainers.errors import InputError
from explainers.export.onnx_file import OPSET, export_onnx
from explainers.export.torch_file import export_torch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_choice(
        parser, "a config of a method that needs no training: says why it cannot be exported"
    )
    parser.add_argument("--format", required=True, choices=["onnx", "torch"])
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    parser.add_argument(
        "--with-classifier",
        action="store_true",
        help="answer with logits too, and explain the predicted class where the label is -1",
    )
    parser.add_argument("--precision", choices=["float32", "float16"], default="float32")
    parser.add_argument("--opset", type=int, help=f"of ONNX's operators; by default {OPSET}")
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference from torch; by default 1e-4, and 0.05 in float16",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and print its size and its largest difference from torch."""
    explainer = chosen(arguments)
    write = export_torch
    if arguments.format == "onnx":
        write = partial(export_onnx, opset=arguments.opset or OPSET)
    elif arguments.opset:
        raise InputError(f"--opset {arguments.opset} is for --format onnx; leave it out")
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
