"""Records beside maps in shards: a json each, and the settings that all depend on."""

import json
from typing import Any

from torch import Tensor

from explainers.base import Explainer
from explainers.classifier.weight_files import fingerprint
from explainers.evaluation.records import as_json

SPLIT = "maps"
"""First part of the names of shards of maps."""


def described(target: Tensor, probability: float, caption: str, source: str) -> bytes:
    """The json beside a map; of a reference, which is an embedding, nothing but its caption."""
    labelled = not target.is_floating_point()
    values = {
        "target": int(target) if labelled else None,
        "probability": probability if labelled else None,
        "caption": caption,
        "source": source,
    }
    return json.dumps(as_json(values)).encode()


def plain_settings(explainer: Explainer) -> dict[str, Any]:
    """Settings that maps depend on: a run with others does not go on from this one."""
    settings = {
        "explainer": type(explainer).__name__,
        "hyperparameters": dict(explainer.hparams),
        "sha256": fingerprint(explainer),
    }
    plain: dict[str, Any] = json.loads(json.dumps(as_json(settings), default=str))
    return plain
