"""Opti-CAM: a class activation map whose channel weights are optimised for each image.

Opti-CAM: Optimizing saliency maps for interpretability (https://arxiv.org/abs/2301.07002).
"""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.features import require_stages
from explainers.classifier.targets import require_references
from explainers.errors import MOST_COUNTED, InputError, require_known, require_number, require_whole
from explainers.images.pixel_removal import delete, keep
from explainers.methods.cam.batched_adam import BatchedAdam, Rows
from explainers.methods.cam.channel_maps import NORMALISATIONS, channel_maps, combine
from explainers.methods.cam.target_scores import TARGET_SCORES
from explainers.training.masking_network import exact

PRESETS = {"released": 50, "paper": 100}
"""Optimisation steps of the authors' released code, and of the paper."""


class Optimisation(NamedTuple):
    """Result of an optimisation.

    Attributes:
        maps: (b 1 h w) in [0, 1].
        weights: logits (b channels) of the channel weights.
        curve: the objective (b steps) before each step; NaN after the image stopped.
    """

    maps: Tensor
    weights: Tensor
    curve: Tensor


class OptiCAM(Explainer):
    """Class activation map with the channel weights that maximise the masked image's target score.

    Nothing is learned: each image has its own Adam, so its map does not depend on its batch
    mates. Scores are the optimised mask itself, in [0, 1]; that of a constant layer is zero.
    Published masks are large. A weight on their area shrinks them, at some cost of the average gain
    (AG); on ten photographs, in percent, by benchmarks/opticam_area.py:

    | method | mean area | AG | insertion |
    |---|---:|---:|---:|
    | Grad-CAM | 30.9 | 5.5 | 56.1 |
    | published | 46.0 | 70.6 | 54.0 |
    | `area_weight` 5 | 30.9 | 62.7 | 56.0 |
    | `area_weight` 20 | 18.2 | 44.8 | 56.9 |

    A reference embedding (b d), as `FrozenClassifier.embed` makes it, is a target too: instead of
    a class's score, its cosine similarity to the masked image's embedding is raised.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        preset: number of steps by name, a key of `PRESETS`.
        steps: of Adam; by default the preset's.
        stage: which of the classifier's `stages` to weight; by default the last feature maps:
            before the last max-pool where one ends them (VGG, as published; -2 is after it), and
            `norm1` of the last block of a transformer.
        positive_part: leave out negative features, as the authors' code does; False mixes them in,
            as the paper writes of transformers, whose tokens have either sign. Where a ReLU ends
            the layer, as in VGG and ResNet, there is no difference.
        selector: the target score that is maximised, a key of `TARGET_SCORES`; references have but
            one, the cosine similarity.
        objective: `mask` maximises the masked image's score, `difference` brings it near the whole
            image's.
        normalisation: of maps to masks, a key of `NORMALISATIONS`.
        deletion_weight: weight of the score of what the mask leaves out, relative to the kept
            score; raise it for masks that hold all of the evidence. Doubles the cost.
        area_weight: weight of the mask's area beyond the budget, in units of the kept score for
            the whole image; raise it for smaller masks.
        area_budget: share of the image in [0, 1] that a mask may cover without penalty.
        keep_best: answer with the best of all steps instead of the last, for one more pass.
        patience: stop an image when its objective has not risen by more than `tolerance` for as
            many steps; None takes all steps. Its batch mates go on without it; the authors' code
            stops a batch by its sum instead.
        tolerance: see `patience`; in units of the objective.
        lr: learning rate of Adam.
        chunk_size: images optimised in one batch; lower it if memory runs out.

    Raises:
        InputError: a name is unknown, or a number is out of its range.
    """

    title = "Opti-CAM"
    papers = (
        Paper(
            "zhang2023opticam",
            "Opti-CAM: Optimizing saliency maps for interpretability",
            "Zhang, Hanwei and Torres, Felipe and Sicre, Ronan and Avrithis, Yannis and Ayache, "
            "Stephane",
            "2301.07002",
        ),
    )
    quick_settings: ClassVar = {"steps": 15}
    export_obstacle = "optimises each map by gradient steps"

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        preset: str = "released",
        steps: int | None = None,
        stage: int | None = None,
        positive_part: bool = True,
        selector: str = "logit",
        objective: str = "mask",
        normalisation: str = "minmax",
        deletion_weight: float = 0.0,
        area_weight: float = 0.0,
        area_budget: float = 0.0,
        keep_best: bool = False,
        patience: int | None = None,
        tolerance: float = 0.0,
        lr: float = 0.1,
        chunk_size: int = 16,
    ) -> None:
        super().__init__(classifier)
        require_known("preset", preset, PRESETS)
        require_known("selector", selector, TARGET_SCORES)
        require_known("objective", objective, ["mask", "difference"])
        require_known("normalisation", normalisation, NORMALISATIONS)
        if normalisation == "max" and not positive_part:
            raise InputError(
                "normalisation 'max' divides by the maximum, which keeps negative features "
                "negative; use 'minmax', or positive_part=True"
            )
        steps = PRESETS[preset] if steps is None else steps
        counts = {"steps": steps, "chunk_size": chunk_size, "patience": patience}
        for what, count in counts.items():
            if count is not None:
                require_whole(what, count, 1, MOST_COUNTED)
        for what, weight in {
            "deletion_weight": deletion_weight,
            "area_weight": area_weight,
            "tolerance": tolerance,
        }.items():
            require_number(what, weight, least=0)
        require_number("area_budget", area_budget, 0, 1)
        require_number("lr", lr, above=0)
        if stage is not None:
            require_stages(self.classifier.stages, [stage], "stage")
        self.adam = BatchedAdam(steps, lr, keep_best, patience, tolerance, "Opti-CAM")
        self.stage = stage
        self.positive_part = positive_part
        self.selector = selector
        self.objective = objective
        self.normalisation = normalisation
        self.deletion_weight = deletion_weight
        self.area_weight = area_weight
        self.area_budget = area_budget
        self.chunk_size = chunk_size

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Optimise, and answer with the masks."""
        return self.optimise(images, target).maps

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already."""
        return scores

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """As of every explainer; references (b d) are checked against an embedding."""
        if target is None or not target.is_floating_point():
            return super().resolve_target(images, target)
        width = self.embed(images[:1]).shape[1]
        require_references(images, target, width, self.classifier.name)
        return target

    def objective_curves(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        """The objective at each step (b steps); NaN after an image stopped."""
        return self.optimise(images, self.resolve_target(images, target)).curve

    def optimise(self, images: Tensor, target: Tensor) -> Optimisation:
        """Optimise the masks of images (b 3 h w) for labels (b) or references (b d).

        In float32 at least: in half precision, Adam's epsilon is 0, and channels without a gradient
        become NaN. The classifier keeps its own, and the caller's gradient mode does not matter.
        """
        # The classifier works in this layout: laid out once, nothing is copied at every step.
        with torch.inference_mode(False), torch.enable_grad():
            images = exact(images.detach()).clone(memory_format=torch.channels_last)
            target = target.detach().clone()
            if target.is_floating_point():
                target = target.to(images)
            chunks = zip(images.split(self.chunk_size), target.split(self.chunk_size), strict=True)
            results = [self._optimise(*chunk) for chunk in chunks]
            return Optimisation(*(torch.cat(parts) for parts in zip(*results, strict=True)))

    def _optimise(self, images: Tensor, target: Tensor) -> Optimisation:
        rows = self._rows(images, target)
        start = images.new_zeros(rows["features"].shape[:2])
        weights, curve = self.adam.maximise(self._objective, rows, start)
        with torch.no_grad():
            return Optimisation(self._masks(weights, rows), weights, curve)

    @torch.no_grad()
    def _rows(self, images: Tensor, target: Tensor) -> Rows:
        features = channel_maps(self.classifier, images, self.stage, self.positive_part).to(images)
        rows = {"images": images, "target": target, "features": features}
        if self.objective == "difference":
            rows["whole"] = self._score(images, target)
        return rows

    def _masks(self, u: Tensor, rows: Rows) -> Tensor:
        maps = combine(rows["features"], u)
        size = rows["images"].shape[-2:]
        enlarged = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return NORMALISATIONS[self.normalisation](enlarged)

    def _objective(self, u: Tensor, rows: Rows) -> Tensor:
        """Objective (b) to maximise, of the logits u (b channels) of the channel weights."""
        images, target = rows["images"], rows["target"]
        masks = self._masks(u, rows)
        if self.deletion_weight:
            both = torch.cat([keep(images, masks), delete(images, masks)])
            kept, left = self._score(both, torch.cat([target, target])).chunk(2)
        else:
            kept = self._score(keep(images, masks), target)
        value = -(rows["whole"] - kept).abs() if "whole" in rows else kept
        if self.deletion_weight:
            value = value - self.deletion_weight * left
        if self.area_weight:
            excess = (masks.mean(dim=(1, 2, 3)) - self.area_budget).clamp(min=0)
            value = value - self.area_weight * excess
        return value

    def _score(self, images: Tensor, target: Tensor) -> Tensor:
        """Target score (b) of labels (b), or cosine similarity to references (b d)."""
        if target.is_floating_point():
            return F.cosine_similarity(self.classifier.embed(images).flatten(1).to(target), target)
        logits = self.classifier(images).to(images.dtype)
        return TARGET_SCORES[self.selector](logits, target, self.classifier.decision)
