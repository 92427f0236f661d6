"""Numerical check of an exported file against the explainer that it was made from."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.errors import InputError
from explainers.export.graph import PREDICTED

TOLERANCE = 1e-3  # a quarter of a step of 8 bits; maps of absent classes enlarge rounding
HALF_TOLERANCE = 0.05

Run = Callable[[Tensor, Tensor], list[Tensor]]
"""Runs a file on images (b 3 h w) and labels (b): maps and, with the classifier inside, logits."""


def prove(explainer: Explainer, run: Run, path: Path, half: bool, tolerance: float | None) -> float:
    """Refuse a file that differs from torch.

    Args:
        explainer: what it was made from.
        run: runs the file.
        path: where it is to be, for the message.
        half: it computes in float16.
        tolerance: largest difference; by default `TOLERANCE`, and `HALF_TOLERANCE` if `half`.

    Returns:
        The largest difference.

    Raises:
        InputError: it is over the tolerance, or NaN.
    """
    if tolerance is None:
        tolerance = HALF_TOLERANCE if half else TOLERANCE
    difference = largest_difference(explainer, run)
    if not difference <= tolerance:
        raise InputError(
            f"{path} was not written: it would differ from torch by {difference:.1e}, over "
            f"{tolerance:.0e}; export in float32, or allow it with a larger tolerance"
        )
    return difference


def largest_difference(explainer: Explainer, run: Run) -> float:
    """Largest difference of a file from torch, for batches of other sizes than the traced one.

    That of a map's pixel, or of a logit in units of the largest logit (of 1 if all are smaller);
    NaN if any is.
    """
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
    return float(torch.stack(differences).max())
