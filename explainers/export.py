"""Write a learned explainer as one file, ONNX or torch.export's, and prove it against torch.

`explainers export --checkpoint checkpoints/NAME --format onnx --output FILE` is the command.
"""

import importlib.metadata
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.one_graph import PREDICTED, OneGraph

OPSET = 20
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.05

# An ONNX file is one protobuf message, which cannot hold 2 GiB; the rest is left to the graph.
ONE_FILE_BYTES = 2**31 - 2**27

Run = Callable[[Tensor, Tensor], list[Tensor]]
"""Images (b 3 h w) and labels (b) to what the file answers: maps and, with a classifier, logits."""


class Exported(NamedTuple):
    """A file that was proved.

    Attributes:
        path: where it is.
        size: in bytes, with all that belongs to it.
        difference: from torch, the largest: of a map's pixel, or of a logit in units of the
            largest logit (of 1 if all are smaller).
        metadata: what the file says of itself.
    """

    path: Path
    size: int
    difference: float
    metadata: dict[str, str]


def export_onnx(
    explainer: Explainer,
    path: str | Path,
    *,
    with_classifier: bool = False,
    half: bool = False,
    opset: int = OPSET,
    tolerance: float | None = None,
) -> Exported:
    """Write an ONNX file, which is put in place only if ONNX Runtime answers as torch does.

    Inputs: `image` (b 3 h w) float32 in [0, 1], of the classifier's size; `label` (b) int64, and
    with the classifier -1 for the class that it predicts. Outputs: `map` (b 1 h w) float32 in
    [0, 1], as `explain` gives it, NaN for a label that is no class; `logits` (b classes) float32.
    Weights go into FILE.data beside it only where one file cannot hold them.

    Args:
        explainer: a learned one, on the CPU.
        path: the file, ending in .onnx.
        with_classifier: answer with logits too.
        half: compute in float16; inputs and outputs stay float32.
        opset: version of ONNX's operators.
        tolerance: largest `Exported.difference` allowed; by default 1e-4, and 0.05 if `half`.

    Raises:
        InputError: the explainer cannot be exported, differs by more than the tolerance, or the
            packages of the extra `export` are missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"ONNX needs the package {package}; run: "
                'pip install "learned-explainers[export]", or export with --format torch'
            )
    import onnxruntime  # an extra: the rest of the library does without

    path = _checked(explainer, Path(path), ".onnx")
    graph = OneGraph(explainer, with_classifier, half)
    names = ["map", "logits"] if with_classifier else ["map"]
    with _said_why(explainer):
        program: Any = torch.onnx.export(
            graph.program(),
            dynamo=True,
            opset_version=opset,
            input_names=["image", "label"],
            output_names=names,
            verbose=False,
        )
    metadata = describe(explainer, half) | {"opset": str(opset)}
    program.model.metadata_props.update(metadata)
    weights = sum(weight.nbytes for weight in [*graph.parameters(), *graph.buffers()])
    with _aside(path) as file:
        program.save(file, external_data=weights > ONE_FILE_BYTES)
        with _said_why(explainer):
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

        def run(images: Tensor, labels: Tensor) -> list[Tensor]:
            inputs = {"image": images.numpy(), "label": labels.numpy()}
            return [torch.from_numpy(output) for output in session.run(names, inputs)]

        difference = _prove(explainer, run, path, half, tolerance)
        size = sum(part.stat().st_size for part in file.parent.iterdir())
    return Exported(path, size, difference, metadata)


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
    path = _checked(explainer, Path(path), ".pt2")
    graph = OneGraph(explainer, with_classifier, half)
    metadata = describe(explainer, half)
    with _said_why(explainer):
        program = graph.program()
    with _aside(path) as file:
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata)})
        module = torch.export.load(file).module()

        def run(images: Tensor, labels: Tensor) -> list[Tensor]:
            with torch.no_grad():
                return list(module(images, labels))

        difference = _prove(explainer, run, path, half, tolerance)
        size = file.stat().st_size
    return Exported(path, size, difference, metadata)


def describe(explainer: Explainer, half: bool) -> dict[str, str]:
    """What a file says of itself; lists and mappings as JSON."""
    classifier = explainer.classifier
    return {
        "class": type(explainer).__name__,
        "classifier": classifier.name,
        "fingerprints": json.dumps(explainer.fingerprints()),
        "class_names": json.dumps(classifier.class_names),
        "image_size": json.dumps(classifier.size),  # height, width
        "precision": "float16" if half else "float32",
        "learned-explainers": importlib.metadata.version("learned-explainers"),
    }


def _checked(explainer: Explainer, path: Path, suffix: str) -> Path:
    if path.suffix != suffix:
        raise InputError(f"the file has to end in {suffix}, got {path.name!r}; rename it")
    if explainer.device.type != "cpu":
        raise InputError(f"an explainer on {explainer.device} is exported from the CPU; move it")
    return path


@contextmanager
def _said_why(explainer: Explainer) -> Iterator[None]:
    """Report what torch's exporters cannot do, of which each part raises an error of its own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"torch cannot export {type(explainer).__name__} of {explainer.classifier.name}: "
            f"{reason}; try the other format, or another opset"
        ) from error


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Where to write a file, and others beside it that it names; all go in place at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        file = Path(folder) / path.name
        yield file
        # The file that names the others comes last.
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == file):
            with part.open("rb") as content:
                os.fsync(content.fileno())
            part.replace(path.with_name(part.name))


def _prove(
    explainer: Explainer, run: Run, path: Path, half: bool, tolerance: float | None
) -> float:
    """The largest difference from torch, for batches of other sizes than was traced."""
    if tolerance is None:
        tolerance = HALF_TOLERANCE if half else TOLERANCE
    generator = torch.Generator().manual_seed(0)
    differences = []
    for count in (1, 3):
        blots = torch.rand(count, 3, 7, 7, generator=generator)
        images = F.interpolate(blots, explainer.classifier.size, mode="bicubic").clamp(0, 1)
        classes = explainer.classifier.num_classes
        labels = torch.randint(classes, (count,), generator=generator)
        maps, *logits = run(images, labels)
        differences.append((maps - explainer.explain(images, labels).maps).abs().max())
        for answered in logits:  # none, or one: the classifier is inside
            with torch.no_grad():
                expected = explainer.classifier(images).float()
            scale = expected.abs().max().clamp(min=1)
            differences.append((answered - expected).abs().max() / scale)
            maps, _ = run(images, torch.full_like(labels, PREDICTED))
            expected = explainer.explain(images, answered.argmax(dim=1)).maps
            differences.append((maps - expected).abs().max())
    difference = float(torch.stack(differences).max())  # NaN if any is
    if not difference <= tolerance:
        raise InputError(
            f"{path} was not written: it would differ from torch by {difference:.1e}, over "
            f"{tolerance:.0e}; export in float32, or allow it with a larger tolerance"
        )
    return difference
