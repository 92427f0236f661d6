"""Gradient and perturbation methods of the package captum."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from explainers.base import Explainer
from explainers.baselines.packages import lent, package
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.seeding import seeded
from explainers.errors import MOST_COUNTED, InputError, require_known, require_number, require_whole


@dataclass(frozen=True)
class _Use:
    """Arguments and post-processing of a class of captum.

    Attributes:
        options: arguments for images (b 3 h w), from the explainer's hyperparameters.
        reduce: brings attributions (b 3 h w) to scores (b 1 h w).
        gradient: it computes gradients, which can be averaged over noisy copies.
        random: it draws samples.
    """

    options: Callable[["CaptumBaseline", Tensor], dict[str, Any]]
    reduce: Callable[[Tensor], Tensor]
    gradient: bool = False
    random: bool = False


class CaptumBaseline(Explainer):
    """A method of the package captum, with black as the baseline.

    Scores are signed, except those of Saliency, in logits. All pixels of a removed region have the
    same score. Gradients are summed over the colours, so that those of IntegratedGradients add up
    to the logit less that of a black image; for Saliency, the colour of the largest one counts, as
    in Simonyan et al. (https://arxiv.org/abs/1312.6034).

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        method: a class of captum.attr, one of `CAPTUM_METHODS`.
        samples: steps on the path of IntegratedGradients, masked images that KernelShap learns
            from: raise it to several times the number of regions.
        window: side in pixels of the regions that are removed; Occlusion's overlap by half.
        noisy_copies: of the image, to average gradients over; SmoothGrad is Saliency with 50.
        noise: standard deviation of the noise on the copies, as a share of black to white.
        seed: of all that is random; the same for every image.
        chunk_size: images in one batch of the classifier.

    Raises:
        InputError: the method is unknown or takes no noisy copies, a number is out of its range,
            or captum cannot be imported.
    """

    needs = "the package captum"
    title = "Captum"
    papers = (
        Paper(
            "kokhlikyan2020captum",
            "Captum: A unified and generic model interpretability library for PyTorch",
            "Kokhlikyan, Narine and Miglani, Vivek and Martin, Miguel and Wang, Edward and "
            "Alsallakh, Bilal and Reynolds, Jonathan and Melnikov, Alexander and Kliushkina, "
            "Natalia and Araya, Carlos and Yan, Siqi and Reblitz-Richardson, Orion",
            "2009.07896",
        ),
    )
    export_obstacle = "is a method of the package captum, of gradients or many passes an image"

    def __init__(
        self,
        classifier: ClassifierSource,
        method: str = "IntegratedGradients",
        samples: int = 50,
        window: int = 32,
        noisy_copies: int = 0,
        noise: float = 0.15,
        seed: int = 0,
        chunk_size: int = 16,
    ) -> None:
        super().__init__(classifier)
        require_known("method", method, CAPTUM_METHODS)
        package("captum.attr", "captum")
        for what, count in {"samples": samples, "window": window, "chunk_size": chunk_size}.items():
            require_whole(what, count, 1, MOST_COUNTED)
        require_whole("noisy_copies", noisy_copies, 0, MOST_COUNTED)
        require_number("noise", noise, least=0)
        require_whole("seed", seed, 0, 2**32 - 1)
        if noisy_copies and not CAPTUM_METHODS[method].gradient:
            gradients = [name for name, use in CAPTUM_METHODS.items() if use.gradient]
            raise InputError(
                f"noisy_copies average gradients, and {method} takes none; choose one of "
                f"{', '.join(gradients)}, or noisy_copies=0"
            )
        self.method = self.label = method
        self.signed = method != "Saliency"
        self.samples = samples
        self.window = window
        self.noisy_copies = noisy_copies
        self.noise = noise
        self.seed = seed
        self.chunk_size = chunk_size

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Call the package; random methods one image at a time, so that a seed fixes each map."""
        captum = package("captum.attr", "captum")
        use = CAPTUM_METHODS[self.method]
        batch_size = 1 if use.random or self.noisy_copies else self.chunk_size
        scores = []
        with lent(self.classifier, images) as copies:
            method = getattr(captum, self.method)(self.classifier)
            arguments: dict[str, Any] = {}
            if self.noisy_copies:
                method = captum.NoiseTunnel(method)
                arguments["nt_samples"] = self.noisy_copies
                arguments["nt_samples_batch_size"] = min(self.chunk_size, self.noisy_copies)
                arguments["stdevs"] = float(self.noise)
            labels = target.clone().split(batch_size)
            for part, label in zip(copies.split(batch_size), labels, strict=True):
                part = part.detach().requires_grad_()
                with seeded(self.seed):  # captum draws from torch's own generators
                    attributions = method.attribute(
                        part, target=label, **arguments, **use.options(self, part)
                    )
                scores.append(use.reduce(attributions.detach()))
        return torch.cat(scores)

    def _no_options(self, images: Tensor) -> dict[str, Any]:
        return {}

    def _path(self, images: Tensor) -> dict[str, Any]:
        return {"n_steps": self.samples, "internal_batch_size": self.chunk_size}

    def _windows(self, images: Tensor) -> dict[str, Any]:
        sides = [min(self.window, side) for side in images.shape[-2:]]
        return {
            "sliding_window_shapes": (3, *sides),
            "strides": (3, *(max(1, side // 2) for side in sides)),
            "perturbations_per_eval": self._copies_at_once(images),
        }

    def _cells(self, images: Tensor) -> dict[str, Any]:
        rows, columns = (
            torch.arange(side, device=images.device) // self.window for side in images.shape[-2:]
        )
        cells = rows[:, None] * (columns[-1] + 1) + columns
        return {
            "feature_mask": cells[None, None],  # (1 1 h w)
            "perturbations_per_eval": self._copies_at_once(images),
        }

    def _sampled_cells(self, images: Tensor) -> dict[str, Any]:
        return {"n_samples": self.samples} | self._cells(images)

    def _copies_at_once(self, images: Tensor) -> int:
        """Number of perturbed copies of each image that one batch holds."""
        return max(1, self.chunk_size // len(images))


_sum = partial(torch.sum, dim=1, keepdim=True)
_mean = partial(torch.mean, dim=1, keepdim=True)
_largest = partial(torch.amax, dim=1, keepdim=True)

CAPTUM_METHODS = {
    "Saliency": _Use(CaptumBaseline._no_options, _largest, gradient=True),
    "InputXGradient": _Use(CaptumBaseline._no_options, _sum, gradient=True),
    "IntegratedGradients": _Use(CaptumBaseline._path, _sum, gradient=True),
    "Occlusion": _Use(CaptumBaseline._windows, _mean),
    "FeatureAblation": _Use(CaptumBaseline._cells, _mean),
    "KernelShap": _Use(CaptumBaseline._sampled_cells, _mean, random=True),
}
"""Classes of captum.attr that need nothing but the classifier's answers and gradients."""
