"""Drawing style of an explanation: colours over the image, its class above, a legend below."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.errors import InputError, require_known
from explainers.images.drawing import (
    COLOUR_MAP,
    COLOUR_MAPS,
    OPACITY,
    captioned,
    centred,
    legend,
    overlay,
)

ONE_SIDED: dict[str, Callable[[Tensor], Tensor]] = {
    "positive": lambda scores: scores.clamp(min=0),
    "negative": lambda scores: (-scores).clamp(min=0),
    "absolute": torch.abs,
}
"""One-sided parts of signed scores, drawn from zero up, by name."""

SIDES = {"positive": "+ for", "negative": "- against", "absolute": "+ or -"}
"""Their words in the legend."""

SIGNS = ("signed", *ONE_SIDED)


@dataclass(frozen=True)
class DrawingStyle:
    """Style of the pictures of explanations.

    Attributes:
        opacity: of the colours where the map is strongest, in [0, 1].
        colour_map: a key of `COLOUR_MAPS`; signed scores get the diverging one beside it.
        sign: the part of signed scores to draw, one of `SIGNS`; ignored for unsigned ones.
        beside: draw the image itself, in colour, to the left.

    Raises:
        InputError: a name is unknown, or the opacity is outside [0, 1].
    """

    opacity: float = OPACITY
    colour_map: str = COLOUR_MAP
    sign: str = "signed"
    beside: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise InputError(f"opacity must be in [0, 1], got {self.opacity}")
        require_known("colour map", self.colour_map, COLOUR_MAPS)
        require_known("sign", self.sign, SIGNS)

    def draw(
        self, image: Tensor, one_map: Tensor, scores: Tensor, signed: bool, text: str
    ) -> Tensor:
        """Draw one explanation.

        Args:
            image: (3 h w) in [0, 1].
            one_map: (1 h w) in [0, 1], drawn unless scores are signed.
            scores: (1 h w).
            signed: scores below 0 are negative attribution.
            text: caption above the picture.

        Returns:
            A picture (3 _ _): the image's width, or twice that and a gap; two strips higher.
        """
        diverging = signed and self.sign == "signed"
        colour_map = COLOUR_MAPS[self.colour_map] if diverging else self.colour_map
        words = ("low", "high")
        if diverging:
            shown, words = centred(scores[None]), ("- against", "+ for")
        elif signed:
            shown = _from_zero(ONE_SIDED[self.sign](scores))[None]
            words = ("0", SIDES[self.sign])
        else:
            shown = one_map[None]
        drawn = overlay(image[None], shown, self.opacity, colour_map, diverging)[0]
        if self.beside:
            gap = drawn.new_ones(3, drawn.shape[1], max(2, drawn.shape[2] // 50))
            drawn = torch.cat([image.detach().cpu().float(), gap, drawn], dim=2)
        height = max(22, round(drawn.shape[2] / 26))  # readable when all of it is on a screen
        strip = legend(drawn.shape[2], words, self.opacity, colour_map, diverging, height)
        return torch.cat([captioned(drawn, text, height), strip], dim=1)


def _from_zero(values: Tensor) -> Tensor:
    """Stretch values (1 h w) from 0 to their 99 % quantile."""
    high = float(np.quantile(values.detach().float().cpu().numpy(), 0.99))
    return (values / max(high, float(np.finfo(np.float32).tiny))).clamp(0, 1)
