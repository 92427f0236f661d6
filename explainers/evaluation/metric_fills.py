"""Metrics under other fills: `average_drop@mean` is the average drop with the mean colour removed."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from torchmetrics import Metric

from explainers.errors import InputError, require_known
from explainers.images.pixel_removal import FILLS, Fill
from explainers.metrics import CHOICES

FIELDS = ("fill", "baseline", "start")
"""Fields of perturbations that say what replaces removed pixels."""


def build_metric(name: str) -> Metric:
    """Build a metric by its name: a key of `CHOICES` or, with another fill, `KEY@FILL`.

    Raises:
        InputError: the metric or the fill is unknown, or the metric removes no pixels.
    """
    base, _, fill = name.partition("@")
    require_known("metric", base, CHOICES)
    metric: Any = CHOICES[base]()
    if fill:
        require_known("fill", fill, FILLS)
        if not _filled(metric):
            raise InputError(
                f"{base} removes no pixels, so it has no fill; name it without @{fill}"
            )
        metric.needs = tuple(_refilled(need, FILLS[fill]) for need in metric.needs)
    return metric  # type: ignore[no-any-return]


def is_metric(name: str) -> bool:
    """Whether a name is that of a metric, under any fill."""
    base, _, fill = name.partition("@")
    return base in CHOICES and (not fill or fill in FILLS)


def under_fills(metrics: Sequence[str], fills: Sequence[str]) -> list[str]:
    """Names of metrics under each of several fills, beside each other.

    A metric whose own fill is among them keeps its name there; one that removes no pixels is there
    once.

    Raises:
        InputError: a metric or a fill is unknown.
    """
    for fill in fills:
        require_known("fill", fill, FILLS)
    found = []
    for name in metrics:
        own = _filled(build_metric(name))
        if not own or "@" in name:
            found.append(name)
            continue
        found += [name if FILLS[fill] in own else f"{name}@{fill}" for fill in fills]
    return list(dict.fromkeys(found))


def _filled(metric: Any) -> list[object]:  # noqa: ANN401
    """What a metric puts in the place of removed pixels; empty if it removes none."""
    needs = getattr(metric, "needs", ())
    return [getattr(need, name) for need in needs for name in _fields_of(need)]


def _fields_of(need: Any) -> list[str]:  # noqa: ANN401
    return [field.name for field in fields(need) if field.name in FIELDS]


def _refilled(need: Any, fill: Fill) -> Any:  # noqa: ANN401
    return replace(need, **dict.fromkeys(_fields_of(need), fill))
