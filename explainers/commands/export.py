"""`explainers export`: a bundle as one ONNX or torch.export file."""

import argparse
from functools import partial

from explainers.commands.explainer_choice import chosen
from explainers.commands.options.export import OPSETS
from explainers.errors import InputError, require_number, require_whole
from explainers.export.onnx_file import OPSET, export_onnx
from explainers.export.torch_file import export_torch


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
