"""Opti-CAM: a class activation map whose channel weights are optimised for each image.

Zhang, Torres, Sicre, Avrithis, Ayache: Opti-CAM (https://arxiv.org/abs/2301.07002).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from explainers.base import Explainer
from explainers.channels import NORMALISATIONS, channel_maps, combine
from explainers.classifier import ClassifierSource
from explainers.errors import InputError
from explainers.masking import delete, keep
from explainers.selectors import SELECTORS
from explainers.weights import closest

PRESETS = {"released": 50, "paper": 100}
"""Steps of the optimisation in the code that the authors released, and in the paper."""


class Optimisation(NamedTuple):
    """What an optimisation found.

    Attributes:
        maps: (b 1 h w) in [0, 1].
        weights: logits (b channels) of the channels' weights.
        curve: the objective (b steps) before each step; NaN after the image stopped.
    """

    maps: Tensor
    weights: Tensor
    curve: Tensor


class OptiCAM(Explainer):
    """Weighs the channels of one layer so that the masked image scores highest.

    Nothing is learned: each image has its own Adam, so its map does not depend on its batch
    mates. Scores are the optimised mask itself, in [0, 1]; that of a constant layer is zero.
    A reference embedding (b d), as `FrozenClassifier.embed` makes it, is a target too: instead of
    a class's score, its cosine similarity to the masked image's embedding is raised.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        preset: whose number of steps to take, a key of `PRESETS`.
        steps: of Adam; by default the preset's.
        stage: which of the classifier's `stages` to weigh; by default as `channel_maps` says.
        selector: what of the class is raised, a key of `SELECTORS`; references have but one.
        objective: `mask` raises the masked image's score, `difference` brings it near the whole
            image's.
        normalisation: how a map becomes a mask, a key of `NORMALISATIONS`.
        deletion_weight: price of the score of what the mask leaves out, in units of the kept
            score; raise it for masks that hold all of the evidence. Doubles the cost.
        area_weight: price of a mask that covers the whole image beyond the budget, in units of
            the kept score; raise it if masks flood the image.
        area_budget: share of the image that a mask may cover for nothing, in [0, 1].
        keep_best: answer with the best of all steps instead of the last, for one more pass.
        patience: stop an image when its objective has not risen by more than `tolerance` for as
            many steps; None takes all steps. Its batch mates go on without it.
        tolerance: see `patience`; in units of the objective.
        lr: learning rate of Adam.
        chunk_size: images optimised at once; lower it if memory runs out.

    Raises:
        InputError: a name is unknown, or a number is out of its range.
    """

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        preset: str = "released",
        steps: int | None = None,
        stage: int | None = None,
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
        for what, name, known in (
            ("preset", preset, list(PRESETS)),
            ("selector", selector, list(SELECTORS)),
            ("objective", objective, ["mask", "difference"]),
            ("normalisation", normalisation, list(NORMALISATIONS)),
        ):
            if name not in known:
                raise InputError(f"unknown {what} {name!r}; {closest(name, known)}")
        self.steps = PRESETS[preset] if steps is None else steps
        counts = {"steps": self.steps, "chunk_size": chunk_size, "patience": patience}
        for what, count in counts.items():
            if count is not None and count < 1:
                raise InputError(f"{what} must be at least 1, got {count}")
        self.stage = stage
        self.selector = selector
        self.objective = objective
        self.normalisation = normalisation
        self.deletion_weight = deletion_weight
        self.area_weight = area_weight
        self.area_budget = area_budget
        self.keep_best = keep_best
        self.patience = patience
        self.tolerance = tolerance
        self.lr = lr
        self.chunk_size = chunk_size

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Optimise, and answer with the masks."""
        return self.optimise(images, target).maps

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already."""
        return scores

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """As of every explainer; references (b d) are checked against an embedding."""
        if target is None or not target.is_floating_point() or len(target) != len(images):
            return super().resolve_target(images, target)
        with torch.no_grad():
            width = self.classifier.embed(images[:1]).flatten(1).shape[1]
        if target.ndim != 2 or target.shape[1] != width or not target.isfinite().all():
            raise InputError(
                f"references must be finite and ({len(images)} {width}), as the embeddings of "
                f"{self.classifier.name}, got {tuple(target.shape)}; make them with "
                "classifier.embed"
            )
        return target

    def optimise(self, images: Tensor, target: Tensor) -> Optimisation:
        """Optimise the masks of images (b 3 h w) for labels (b) or references (b d).

        The precision is that of images and classifier; the caller's gradient mode does not matter.
        """
        # The classifier works in this layout: laid out once, nothing is copied at every step.
        with torch.inference_mode(False), torch.enable_grad():
            images = images.detach().clone(memory_format=torch.channels_last)
            target = target.detach().clone()
            if target.is_floating_point():
                target = target.to(images)
            chunks = zip(images.split(self.chunk_size), target.split(self.chunk_size), strict=True)
            found = [self._optimise(*chunk) for chunk in chunks]
            return Optimisation(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _optimise(self, images: Tensor, target: Tensor) -> Optimisation:
        start = state = self._start(images, target)
        found = {name: state[name].clone() for name in ("u", "best_u", "best")}
        curve = images.new_full((len(images), self.steps), torch.nan)
        steps = range(1, self.steps + 1)
        for step in tqdm(steps, desc="Opti-CAM", unit="step", leave=False, disable=None):
            u = state["u"].requires_grad_()
            values = self._objective(u, state)
            # Their sum keeps images independent; a mean would shrink gradients towards Adam's eps.
            (gradient,) = torch.autograd.grad(values.sum(), u)
            values = values.detach()
            curve[state["row"], step - 1] = values
            if self.keep_best:
                better = values > state["best"]
                state["best"] = torch.where(better, values, state["best"])
                state["best_u"] = torch.where(better[:, None], u.detach(), state["best_u"])
            _ascend(state, gradient, self.lr, step)
            if self.patience is not None:
                rises = values > state["bar"] + self.tolerance
                state["bar"] = torch.where(rises, values, state["bar"])
                state["stale"] = torch.where(rises, 0, state["stale"] + 1)
                _store(state, found)
                going = state["stale"] < self.patience
                if not going.any():
                    break
                if not going.all():
                    state = {name: value[going] for name, value in state.items()}
        _store(state, found)
        u = found["u"]
        with torch.no_grad():
            if self.keep_best:
                last = self._objective(u, start) >= found["best"]
                u = torch.where(last[:, None], u, found["best_u"])
            return Optimisation(self._masks(u, start), u, curve)

    def _start(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """All that belongs to an image and leaves the batch with it, each (b ...)."""
        with torch.no_grad():
            features = channel_maps(self.classifier, images, self.stage).to(images)
            whole = images.new_zeros(len(images))
            if self.objective == "difference":
                whole = self._score(images, target)
        u = images.new_zeros(features.shape[:2])
        lowest = torch.full_like(whole, -torch.inf)
        return {
            "row": torch.arange(len(images), device=images.device),
            "images": images,
            "target": target,
            "features": features,
            "whole": whole,
            "u": u,
            "momentum": torch.zeros_like(u),
            "square": torch.zeros_like(u),
            "best_u": u.clone(),
            "best": lowest,
            "bar": lowest.clone(),
            "stale": torch.zeros_like(whole),
        }

    def _masks(self, u: Tensor, state: dict[str, Tensor]) -> Tensor:
        maps = combine(state["features"], u)
        size = state["images"].shape[-2:]
        enlarged = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return NORMALISATIONS[self.normalisation](enlarged)

    def _objective(self, u: Tensor, state: dict[str, Tensor]) -> Tensor:
        """What is raised (b), for the logits u (b channels) of the channels' weights."""
        images, target = state["images"], state["target"]
        masks = self._masks(u, state)
        if self.deletion_weight:
            both = torch.cat([keep(images, masks), delete(images, masks)])
            kept, left = self._score(both, torch.cat([target, target])).chunk(2)
        else:
            kept = self._score(keep(images, masks), target)
        value = -(state["whole"] - kept).abs() if self.objective == "difference" else kept
        if self.deletion_weight:
            value = value - self.deletion_weight * left
        if self.area_weight:
            excess = (masks.mean(dim=(1, 2, 3)) - self.area_budget).clamp(min=0)
            value = value - self.area_weight * excess
        return value

    def _score(self, images: Tensor, target: Tensor) -> Tensor:
        """The score (b) of labels (b), or the cosine similarity to references (b d)."""
        if target.is_floating_point():
            return F.cosine_similarity(self.classifier.embed(images).flatten(1).to(target), target)
        return SELECTORS[self.selector](self.classifier(images).to(images.dtype), target)


def _ascend(state: dict[str, Tensor], gradient: Tensor, lr: float, step: int) -> None:
    """One step of Adam, in torch's own order of operations, on rows that may leave the batch."""
    state["momentum"] = state["momentum"].lerp(gradient, 1 - 0.9)
    state["square"] = (0.999 * state["square"]).addcmul(gradient, gradient, value=1 - 0.999)
    root = state["square"].sqrt() / (1 - 0.999**step) ** 0.5 + 1e-8
    state["u"] = state["u"].detach().addcdiv(state["momentum"], root, value=lr / (1 - 0.9**step))


def _store(state: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Put what is known of the rows that are still optimised where it belongs."""
    for name, values in found.items():
        values[state["row"]] = state[name]
