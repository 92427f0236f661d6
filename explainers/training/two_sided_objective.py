"""The two-sided objective: masks that keep classes, and whose complement does not show them.

Dabkowski, Gal: Real Time Image Saliency (https://arxiv.org/abs/1705.07857). Phang, Park, Geras
(https://arxiv.org/abs/2010.09750). Stalder et al.: NN-Explainer
(https://arxiv.org/abs/2205.11266). `PRESETS` holds the terms and weights of each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.classifier.decision import Decision
from explainers.errors import InputError, require_known, require_number, shown
from explainers.images.pixel_removal import REMOVALS, Removal, keep
from explainers.training.distributed import uniform
from explainers.training.losses import variation
from explainers.training.masking_network import enlarge

COLOURED_NOISE = "coloured_noise"
FILLS = (*REMOVALS, COLOURED_NOISE)
PUBLISHED_VARIATION = 1e-3 * 56 * 56  # published for a sum over pixels, of masks of 56 x 56


class Masks(NamedTuple):
    """Masks of a batch, as the objective looks at them.

    Attributes:
        present: masks (b n _ _) of classes that each image shows.
        classes: of these (b n).
        counted: which of these count (b n) bool; the others are there to fill the batch.
        absent: masks (b 1 _ _) of a class that each image does not show; None for no such masks.
        lacking: the images (b) bool that have such a class.
    """

    present: Tensor
    classes: Tensor
    counted: Tensor
    absent: Tensor | None = None
    lacking: Tensor | None = None


@dataclass(frozen=True)
class TwoSidedObjective:
    """What is kept shows the classes, what is deleted does not, and masks are small and smooth.

    It looks at the union of an image's masks of present classes. A term of weight 0 is left out.

    Attributes:
        classification_weight: weight of the cross entropy of the present classes on what is kept.
        destroy_weight: weight of their probability on what is deleted, to `destroy_power`.
        destroy_power: under 1, a small probability still costs much.
        entropy_weight: weight of the entropy of the probabilities on what is deleted, which is
            raised; as a share of its maximum.
        area_weight: weight of the union's mean; raise it if masks flood the image.
        bounds_weight: weight of each mask's area under `least_area` or over `greatest_area`.
        least_area: share of the image that a mask should have at least.
        greatest_area: share of the image that it should have at most.
        variation_weight: weight of `losses.variation` of the union.
        absent_share: share of the objective that is of masks of absent classes. Their variation
            counts as above, and their area by `area_weight` and, with bounds of 0, `bounds_weight`.
        fills: of removed pixels, keys of `REMOVALS` or `coloured_noise`, one drawn each step.

    Raises:
        InputError: a weight is negative, a share is not in [0, 1], or a fill is unknown.
    """

    classification_weight: float = 1.0
    destroy_weight: float = 0.0
    destroy_power: float = 1.0
    entropy_weight: float = 0.0
    area_weight: float = 0.0
    bounds_weight: float = 0.0
    least_area: float = 0.0
    greatest_area: float = 1.0
    variation_weight: float = 0.0
    absent_share: float = 0.0
    fills: Sequence[str] = ("black",)

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name.endswith("_weight"):
                require_number(name, value, least=0)
        require_number("destroy_power", self.destroy_power, above=0)
        require_number("absent_share", self.absent_share, least=0, below=1)
        require_number("greatest_area", self.greatest_area, 0, 1)
        require_number("least_area", self.least_area, 0, self.greatest_area)
        if isinstance(self.fills, str) or not isinstance(self.fills, Sequence) or not self.fills:
            raise InputError(
                f"fills must be a list of at least one of {', '.join(FILLS)}, got "
                f"{shown(self.fills)}"
            )
        for fill in self.fills:
            require_known("fill", str(fill), FILLS)

    def removal(self, labels: Tensor, step: int) -> Removal:
        """Removal of pixels by a fill that is drawn for the step; see `coloured_noise`."""
        generator = torch.Generator().manual_seed(4 * step + 2)
        name = self.fills[int(torch.randint(len(self.fills), (), generator=generator))]
        if name == COLOURED_NOISE:
            return partial(keep, fill=partial(coloured_noise, labels=labels, seed=4 * step + 3))
        return REMOVALS[name]

    def losses(
        self, classifier: FrozenClassifier, images: Tensor, masks: Masks, remove: Removal
    ) -> dict[str, Tensor]:
        """The weighted terms; see `LearnedExplainer.losses`.

        Args:
            classifier: gives the logits.
            images: (b 3 h w) in [0, 1].
            masks: of present and absent classes.
            remove: of pixels.
        """
        decision = classifier.decision
        small = masks.present.amax(dim=1, keepdim=True)
        union = enlarge(small, images)
        share = masks.counted / masks.counted.sum(dim=1, keepdim=True)  # (b n), of an image's 1
        terms = {}
        if self.classification_weight:
            kept = decision.log_probabilities(classifier(remove(images, union)))
            entropies = -kept.gather(1, masks.classes)
            terms["classification"] = self.classification_weight * _mean(entropies, share)
        if self.destroy_weight or self.entropy_weight:
            left = decision.log_probabilities(classifier(remove(images, 1 - union)))
            if self.destroy_weight:
                # As a power of the probability, its gradient is infinite at 0.
                surviving = (self.destroy_power * left.gather(1, masks.classes)).exp()
                terms["destroy"] = self.destroy_weight * _mean(surviving, share)
            if self.entropy_weight:
                entropy = _entropy(decision, left, masks.classes, share)
                terms["entropy"] = -self.entropy_weight * entropy
        if self.area_weight:
            terms["area"] = self.area_weight * small.mean()
        if self.bounds_weight:
            areas = masks.present.mean(dim=(2, 3))
            outside = (areas - self.greatest_area).relu() + (self.least_area - areas).relu()
            terms["bounds"] = self.bounds_weight * _mean(outside, share)
        if self.variation_weight:
            terms["variation"] = self.variation_weight * variation(small)
        if masks.absent is None or masks.lacking is None:
            return terms
        terms = {name: (1 - self.absent_share) * value for name, value in terms.items()}
        counted = masks.absent * masks.lacking[:, None, None, None]
        absent = (self.area_weight + self.bounds_weight) * counted.mean()
        absent = absent + self.variation_weight * variation(counted)
        return terms | {"absent": self.absent_share * absent}


PRESETS: dict[str, dict[str, Any]] = {
    "rtis": {
        "destroy_weight": 5.0,
        "destroy_power": 0.3,
        "area_weight": 10.0,
        "variation_weight": PUBLISHED_VARIATION,
        "absent_share": 0.3,
        "fills": ("blur", COLOURED_NOISE),
    },
    "phang": {
        "entropy_weight": 10.0,
        "area_weight": 10.0,
        "variation_weight": PUBLISHED_VARIATION,
        "fills": ("mean",),
    },
    "nn_explainer": {
        "entropy_weight": 1.0,
        "bounds_weight": 10.0,
        "least_area": 0.05,
        "greatest_area": 0.3,
        "variation_weight": PUBLISHED_VARIATION,
        "fills": ("mean",),
    },
}
"""Settings of `TwoSidedObjective` by paper; the others are its defaults."""


def coloured_noise(images: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Gaussian noise around a random colour of each image (b 3 h w).

    The colour depends on the seed and the image's position in the batches of all processes; the
    noise, of a tenth, is the same for all images.
    """
    colours = uniform(labels, seed, 3, 1, 1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, *images.shape[1:], generator=generator)
    return (colours.to(images) + 0.1 * noise.to(images)).clamp(0, 1)


def _entropy(decision: Decision, left: Tensor, classes: Tensor, share: Tensor) -> Tensor:
    """Mean entropy, as a share of its maximum, of log-probabilities (b classes).

    Where classes do not exclude each other, that of each present class and its absence.
    """
    if decision.exclusive:
        return -(left.exp() * left).sum(dim=1).mean() / log(left.shape[1])
    own = left.gather(1, classes)
    other = torch.log1p(-own.exp().clamp(max=1 - 1e-6))
    return _mean(-(own.exp() * own + other.exp() * other), share) / log(2)


def _mean(values: Tensor, share: Tensor) -> Tensor:
    """Mean over images of values (b n) of their classes, by each one's share (b n)."""
    return (values * share).sum(dim=1).mean()
