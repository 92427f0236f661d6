"""`explainers export`: its options, and what it prints."""

import argparse
from functools import partial
from pathlib import Path

from explainers.commands.explainer_choice import add_choice, chosen
from explainers.errors import InputError
from explainers.export.onnx_file import OPSET, export_onnx
from explainers.export.torch_file import export_torch


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the options, and `export` as what runs."""
    add_choice(
        command, "a config of a method that needs no training: says why it cannot be exported"
    )
    command.add_argument("--format", required=True, choices=["onnx", "torch"])
    command.add_argument("--output", required=True, type=Path, metavar="FILE")
    command.add_argument(
        "--with-classifier",
        action="store_true",
        help="answer with logits too, and explain the predicted class where the label is -1",
    )
    command.add_argument("--precision", choices=["float32", "float16"], default="float32")
    command.add_argument("--opset", type=int, help=f"of ONNX's operators; by default {OPSET}")
    command.add_argument(
        "--tolerance",
        type=float,
        help="largest difference from torch; by default 1e-4, and 0.05 in float16",
    )
    command.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> int:
    """Write the file, and say how large it is and how near to torch."""
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
