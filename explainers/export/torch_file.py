"""Export of a learned explainer to a .pt2 file of torch.export."""

import json
from pathlib import Path

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.export.exported import (
    Exported,
    exporter_errors,
    metadata_of,
    require_exportable,
    write,
)
from explainers.export.graph import ExplainerGraph
from explainers.export.proof import Run


def export_torch(
    explainer: Explainer,
    path: str | Path,
    *,
    with_classifier: bool = False,
    half: bool = False,
    tolerance: float | None = None,
) -> Exported:
    """Write a .pt2 file for `torch.export.load`, put in place only if it agrees with torch.

    Its module has the inputs and outputs of `export_onnx`, in that order: `module(image, label)` is
    (map,) or (map, logits). The metadata are in its extra file `metadata.json`. Arguments and
    errors as of `export_onnx`.
    """
    path = Path(path)
    require_exportable(explainer, path, ".pt2")
    graph = ExplainerGraph(explainer, with_classifier, half)
    metadata = metadata_of(explainer, half)
    with exporter_errors(explainer):
        program = graph.program()

    def save(file: Path) -> Run:
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata)})
        module = torch.export.load(file).module()

        @torch.no_grad()
        def run(images: Tensor, labels: Tensor) -> list[Tensor]:
            return list(module(images, labels))

        return run

    return write(explainer, path, metadata, half, tolerance, save)
