"""Export of a learned explainer to an ONNX file.

`explainers export --checkpoint checkpoints/NAME --format onnx --output FILE` is the command.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.export.exported import (
    Exported,
    exporter_errors,
    metadata_of,
    require_exportable,
    write,
)
from explainers.export.graph import ExplainerGraph
from explainers.export.proof import Run

OPSET = 20

# An ONNX file is one protobuf message, which cannot hold 2 GiB; the rest is left to the graph.
ONE_FILE_BYTES = 2**31 - 2**27


def export_onnx(
    explainer: Explainer,
    path: str | Path,
    *,
    with_classifier: bool = False,
    half: bool = False,
    opset: int = OPSET,
    tolerance: float | None = None,
) -> Exported:
    """Write an ONNX file, put in place only if ONNX Runtime agrees with torch.

    Inputs: `image` (b 3 h w) float32 in [0, 1], of the classifier's size; `label` (b) int64, and
    with the classifier -1 for the class that it predicts. Outputs: `map` (b 1 h w) float32 in
    [0, 1], as `explain` gives it, NaN for a label that is no class; `logits` (b classes) float32.
    Weights go into FILE.data beside it only where one file cannot hold them.

    Args:
        explainer: a learned one, on the CPU.
        path: the file, ending in .onnx.
        with_classifier: put out logits too.
        half: compute in float16; inputs and outputs stay float32.
        opset: version of ONNX's operators.
        tolerance: largest `Exported.difference` allowed; by default 1e-3, and 0.05 if `half`.

    Raises:
        InputError: the explainer cannot be exported, differs by more than the tolerance, or the
            packages of the extra `export` are missing.
    """
    _require_onnx()
    path = Path(path)
    require_exportable(explainer, path, ".onnx")
    graph = ExplainerGraph(explainer, with_classifier, half)
    names = ["map", "logits"] if with_classifier else ["map"]
    with exporter_errors(explainer):
        program: Any = torch.onnx.export(
            graph.program(),
            dynamo=True,
            opset_version=opset,
            input_names=["image", "label"],
            output_names=names,
            verbose=False,
        )
    metadata = metadata_of(explainer, half) | {"opset": str(opset)}
    program.model.metadata_props.update(metadata)
    weights = sum(weight.nbytes for weight in [*graph.parameters(), *graph.buffers()])

    def save(file: Path) -> Run:
        program.save(file, external_data=weights > ONE_FILE_BYTES)
        with exporter_errors(explainer):
            return _runtime(file, names)

    return write(explainer, path, metadata, half, tolerance, save)


def _require_onnx() -> None:
    """Raise InputError unless all packages of the extra `export` are there."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"ONNX needs the package {package}; run: "
                'pip install "learned-explainers[export]", or export with --format torch'
            )


def _runtime(file: Path, names: list[str]) -> Run:
    """Open a file in ONNX Runtime, for the outputs of these names."""
    import onnxruntime  # an extra: the rest of the library does without

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(images: Tensor, labels: Tensor) -> list[Tensor]:
        inputs = {"image": images.numpy(), "label": labels.numpy()}
        return [torch.from_numpy(output) for output in session.run(names, inputs)]

    return run
