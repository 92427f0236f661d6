"""Features of a classifier by depth: what a reader of them offers, and checks of stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from explainers.errors import InputError, require_whole, shown


@dataclass(frozen=True)
class Stage:
    """A depth at which features can be read: how many channels, at what stride in pixels."""

    channels: int
    reduction: int


class FeatureReader(Protocol):
    """Reads features of a network, from normalised images (b 3 h w) of a size that it takes."""

    @property
    def stages(self) -> list[Stage]:
        """Depths that features can be read at, shallowest first; the last is what is pooled."""

    @property
    def default_stage(self) -> int:
        """Position of the stage that class activation maps are drawn from."""

    def features(self, images: Tensor, stages: Sequence[int], norm: bool = True) -> list[Tensor]:
        """Feature maps (b channels _ _), in the order asked.

        Args:
            images: normalised.
            stages: positions in `stages`; negative counts from the last.
            norm: pass a transformer's tokens of inner stages through its final norm, where the
                reader can.
        """

    def logits_and_features(
        self, images: Tensor, stages: Sequence[int], norm: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (b classes) and, of the same pass, what `features` gives."""

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (b d) that the last layer reads."""

    def last_layer(self) -> nn.Module:
        """The layer that gives the logits."""

    def as_maps(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Bring what a layer puts out to maps (b channels _ _), for images of a size (h w)."""


def require_stages(known: Sequence[Stage], stages: object, name: str = "stages") -> None:
    """Refuse stages that a classifier does not have, twice the same, or none.

    Args:
        known: the classifier's.
        stages: as they were given.
        name: of the hyperparameter.

    Raises:
        InputError: one is unknown or named twice, or there is none.
    """
    count = len(known)
    if isinstance(stages, str) or not isinstance(stages, Sequence) or not len(stages):
        raise InputError(f"{name} must be a list of at least one stage, got {shown(stages)}")
    for stage in stages:
        require_whole(f"each of {name}" if len(stages) > 1 else name, stage, -count, count - 1)
    if len({stage % count for stage in stages}) < len(stages):
        raise InputError(
            f"{name} must differ, got {shown(stages)}; negative ones count from the last of {count}"
        )


def logits_of(answer: Any) -> Any:  # noqa: ANN401  whatever a model answers
    """The logits in a model's answer: itself, its `logits`, or the first of a tuple."""
    if isinstance(answer, Mapping) and "logits" in answer:
        return answer["logits"]
    if hasattr(answer, "logits"):
        return answer.logits
    if isinstance(answer, tuple | list) and answer and isinstance(answer[0], Tensor):
        return answer[0]
    return answer


def two_sided(values: Tensor) -> Tensor:
    """Logits, or rows of a last layer, of two classes from one of them, along the axis of classes.

    One logit z, whose sigmoid is the probability of yes, becomes -z/2 for no and z/2 for yes, whose
    softmax is the same.

    Args:
        values: logits (b classes); of any other number of classes they stay as they are.
    """
    return torch.cat([-values / 2, values / 2], dim=1) if values.shape[1] == 1 else values


def require_logits(answer: Any, name: str) -> Tensor:  # noqa: ANN401  whatever a model answers
    """The logits (b classes) in a model's answer; those of two classes where it has one.

    Raises:
        InputError: there are none.
    """
    logits = logits_of(answer)
    if isinstance(logits, Tensor) and logits.ndim == 2 and logits.shape[1]:
        return two_sided(logits)
    what = f"a {type(logits).__name__}"
    if isinstance(logits, Tensor):
        what = f"a tensor of {tuple(logits.shape)}"
    elif isinstance(logits, Mapping):
        what += f" of {', '.join(map(str, logits))}"
    raise InputError(
        f"{name} answers with {what}, not with logits (b classes); wrap it in a module whose "
        "forward returns these"
    )
