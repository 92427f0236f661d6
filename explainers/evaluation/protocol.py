"""The protocol of an evaluation, in the words of results, tables and cards."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from explainers.evaluation.metric_fills import build_metric, is_metric
from explainers.metrics.parts.perturbations import Kept

PROTOCOL = {
    "target": "the classifier's own prediction",
    "map": "as the explainer answers, in [0, 1]",
    "fill": "black (pixel value 0)",
    "precision": "float32",
    "interval": "95 % percentile bootstrap over the images, 2000 resamples",
}


class MapNormalisation(NamedTuple):
    """A normalisation of the maps that are scored.

    Attributes:
        text: in the protocol.
        heading: beside the name of a metric that depends on it.
    """

    text: str
    heading: str


MAP_NORMALISATIONS = {
    "answered": MapNormalisation(PROTOCOL["map"], "maps as answered"),
    "minmax": MapNormalisation("min-max of each image's scores", "maps min-max"),
}
"""By the name that configs give them."""


def protocol_of(map_normalisation: str) -> dict[str, str]:
    """The protocol in words, as results hold it, with a key of `MAP_NORMALISATIONS`."""
    return PROTOCOL | {"map": MAP_NORMALISATIONS[map_normalisation].text}


def heading_note(name: str, protocol: Mapping[str, Any]) -> str:
    """The note in the heading of a metric: its chance level, or the normalisation of the maps.

    Args:
        name: of the metric.
        protocol: `chance` has levels by metric, in the metric's unit; a metric without one that
            depends on the normalisation names it, and the note of another one is empty.
    """
    chance: Mapping[str, float] = protocol.get("chance") or {}
    if name in chance:
        return f"chance {chance[name]:.1f}"
    if not _reads_map_values(name):
        return ""
    texts = {one.text: one.heading for one in MAP_NORMALISATIONS.values()}
    return texts.get(str(protocol.get("map")), "")


@cache
def _reads_map_values(name: str) -> bool:
    """Whether a metric reads more of the maps than the order of their pixels."""
    metric = build_metric(name) if is_metric(name) else None
    needs = getattr(metric, "needs", ())
    return name.startswith("box_sensitivity") or any(isinstance(need, Kept) for need in needs)
