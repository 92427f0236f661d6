"""Exported files: metadata, check against torch, atomic replacement of older files."""

import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.export.proof import Run, prove


class Exported(NamedTuple):
    """A written file, proved against torch.

    Attributes:
        path: the file.
        size: in bytes, of the file and of those beside it that it names.
        difference: see `proof.largest_difference`.
        metadata: what the file holds beside the graph, by name.
    """

    path: Path
    size: int
    difference: float
    metadata: dict[str, str]


def write(
    explainer: Explainer,
    path: Path,
    metadata: dict[str, str],
    half: bool,
    tolerance: float | None,
    save: Callable[[Path], Run],
) -> Exported:
    """Write a file, prove it, and only then put it in place of what was there.

    Args:
        explainer: what the file has to agree with.
        path: the file.
        metadata: see `Exported`.
        half: the file computes in float16.
        tolerance: see `proof.prove`.
        save: writes the file, and returns a function that runs it.

    Raises:
        InputError: it differs from torch by more than the tolerance.
    """
    with _staged(path) as file:
        difference = prove(explainer, save(file), path, half, tolerance)
        size = sum(part.stat().st_size for part in file.parent.iterdir())
    return Exported(path, size, difference, metadata)


def metadata_of(explainer: Explainer, half: bool) -> dict[str, str]:
    """Metadata of an exported explainer; lists and mappings as JSON."""
    classifier = explainer.classifier
    normalisation = explainer.hparams.get("normalisation")
    chosen = {} if normalisation is None else {"normalisation": normalisation}
    return chosen | {
        "class": type(explainer).__name__,
        "classifier": classifier.name,
        "fingerprints": json.dumps(explainer.fingerprints()),
        "class_names": json.dumps(classifier.class_names),
        "image_size": json.dumps(classifier.size),  # height, width
        "precision": "float16" if half else "float32",
        "learned-explainers": importlib.metadata.version("learned-explainers"),
    }


def require_exportable(explainer: Explainer, path: Path, suffix: str) -> None:
    """Raise InputError unless the path ends in `suffix` and the explainer is on the CPU."""
    if path.suffix != suffix:
        raise InputError(f"the file has to end in {suffix}, got {path.name!r}; rename it")
    if explainer.device.type != "cpu":
        raise InputError(f"an explainer on {explainer.device} is exported from the CPU; move it")


@contextmanager
def exporter_errors(explainer: Explainer) -> Iterator[None]:
    """Turn errors of torch's exporters, which are of many types, into InputError."""
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
def _staged(path: Path) -> Iterator[Path]:
    """A path in a temporary folder, whose files are moved beside `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        file = Path(folder) / path.name
        yield file
        # The file that names the others comes last.
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == file):
            with part.open("rb") as content:
                os.fsync(content.fileno())
            part.replace(path.with_name(part.name))
