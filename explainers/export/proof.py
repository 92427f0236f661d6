"""What exported files share: how they are written, described, and proved against torch."""

import importlib.metadata
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.export.graph import PREDICTED

TOLERANCE = 1e-4


HALF_TOLERANCE = 0.05


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


def checked_path(explainer: Explainer, path: Path, suffix: str) -> Path:
    """The path, if it ends in `suffix` and the explainer is on the CPU; else InputError."""
    if path.suffix != suffix:
        raise InputError(f"the file has to end in {suffix}, got {path.name!r}; rename it")
    if explainer.device.type != "cpu":
        raise InputError(f"an explainer on {explainer.device} is exported from the CPU; move it")
    return path


@contextmanager
def explained_failure(explainer: Explainer) -> Iterator[None]:
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
def written_aside(path: Path) -> Iterator[Path]:
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


def prove(explainer: Explainer, run: Run, path: Path, half: bool, tolerance: float | None) -> float:
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
