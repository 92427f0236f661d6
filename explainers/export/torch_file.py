"""Write a learned explainer as a .pt2 file of torch.export, and prove it against torch."""

import json
from pathlib import Path

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.export.graph import OneGraph
from explainers.export.proof import (
    Exported,
    checked_path,
    describe,
    explained_failure,
    prove,
    written_aside,
)


def export_torch(
    explainer: Explainer,
    path: str | Path,
    *,
    with_classifier: bool = False,
    half: bool = False,
    tolerance: float | None = None,
) -> Exported:
    """Write a .pt2 file, for `torch.export.load`, proved likewise.

    Its module takes and gives what `export_onnx` says, in that order: `module(image, label)` is
    (map,) or (map, logits). What the file says of itself is in its extra file `metadata.json`.
    Arguments and errors as of `export_onnx`.
    """
    path = checked_path(explainer, Path(path), ".pt2")
    graph = OneGraph(explainer, with_classifier, half)
    metadata = describe(explainer, half)
    with explained_failure(explainer):
        program = graph.program()
    with written_aside(path) as file:
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata)})
        module = torch.export.load(file).module()

        def run(images: Tensor, labels: Tensor) -> list[Tensor]:
            with torch.no_grad():
                return list(module(images, labels))

        difference = prove(explainer, run, path, half, tolerance)
        size = file.stat().st_size
    return Exported(path, size, difference, metadata)
