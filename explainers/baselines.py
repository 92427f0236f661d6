"""Methods of the packages grad-cam and captum as explainers, to compare with.

They come with `pip install "learned-explainers[compare]"`. Each answers as its package does; ours
are the layer to look at, the layout of tokens, the seeds, and that nothing stays on the classifier.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from explainers.base import Explainer
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.errors import InputError
from explainers.weights import closest

CAM_METHODS = (
    "GradCAM",
    "GradCAMPlusPlus",
    "GradCAMElementWise",
    "HiResCAM",
    "LayerCAM",
    "XGradCAM",
    "EigenGradCAM",
    "EigenCAM",
    "KPCA_CAM",
    "FEM",
    "ScoreCAM",
    "AblationCAM",
)
"""Classes of pytorch_grad_cam; EigenCAM, KPCA_CAM and FEM answer the same for every class."""


class CAMBaseline(Explainer):
    """Explains by a class activation map of the package grad-cam.

    Scores are as the package returns them: the positive part, scaled to [0, 1] for each image.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        method: one of `CAM_METHODS`.
        layer: the module whose output is weighed, by its name in timm's model; by default what
            the head pools or, where that is tokens, what the last attention reads.

    Raises:
        InputError: the method or the layer is unknown, or grad-cam cannot be imported.
    """

    def __init__(
        self, classifier: ClassifierSource, method: str = "GradCAM", layer: str | None = None
    ) -> None:
        super().__init__(classifier)
        _check_name("method", method, CAM_METHODS)
        _package("pytorch_grad_cam", "grad-cam")
        outputs, pooled = _outputs(self.classifier)
        self.method = method
        self.layer = _default_layer(outputs, pooled, self.classifier) if layer is None else layer
        _check_name("layer", self.layer, list(outputs))
        output = outputs[self.layer]
        self._channels_last = self._as_maps(output, self.classifier.size) is not output

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Weigh the channels of the layer, as the package does."""
        package = _package("pytorch_grad_cam", "grad-cam")
        chosen = package.utils.model_targets.ClassifierOutputTarget
        options: dict[str, Any] = {
            "target_layers": [self.classifier.model.get_submodule(self.layer)],
            "reshape_transform": partial(self._as_maps, size=images.shape[-2:]),
        }
        if self.method == "AblationCAM":  # by default, one module that all share
            kind = "AblationLayerVit" if self._channels_last else "AblationLayer"
            options["ablation_layer"] = getattr(package.ablation_layer, kind)()
        # Some draw a progress bar for each image, and have no switch for it.
        with _lent(self.classifier, images) as copies, redirect_stderr(StringIO()):
            cam = getattr(package, self.method)(self.classifier, **options)
            copies.requires_grad_(cam.uses_gradients)
            scores = torch.from_numpy(cam(copies, [chosen(label) for label in target.tolist()]))
        return scores[:, None].to(images.device)

    def _as_maps(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Bring a layer's output to (b channels _ _), for images of a size (h w)."""
        return self.classifier._as_maps(features, self.classifier._nearest_size(size))


def _outputs(classifier: FrozenClassifier) -> tuple[dict[str, Tensor], Tensor]:
    """What each module makes of a black image (1 …), by its name, and what the head gets."""
    model = classifier.model
    outputs: dict[str, Tensor] = {}

    def note(name: str, part: nn.Module, arguments: object, output: object) -> None:
        if isinstance(output, Tensor):
            outputs[name] = output

    black = classifier.mean.new_zeros(1, 3, *classifier.size)
    with _lent(classifier, black) as image, torch.no_grad():
        for name, part in model.named_modules():
            if name:
                part.register_forward_hook(partial(note, name))
        body: Callable[[Tensor], Tensor] = getattr(model, "forward_features", model)
        pooled = body(classifier._prepare(image))
    return outputs, pooled


def _default_layer(outputs: dict[str, Tensor], pooled: Tensor, classifier: FrozenClassifier) -> str:
    if pooled.ndim == 3:
        # Of the last tokens, the head may read the class token alone: no gradient reaches others.
        names = [name for name in outputs if name.rpartition(".")[2] == "norm1"][-1:]
    else:
        order = [name for name, _ in classifier.model.named_modules()]  # the outermost first
        names = [name for name in order if outputs.get(name) is pooled and pooled.ndim == 4]
    if not names:
        raise InputError(
            f"no default layer is known for {classifier.name}; pass layer, the name of a module "
            "that puts out maps (b channels h w)"
        )
    return names[0]


@dataclass(frozen=True)
class _Use:
    """How a class of captum is called.

    Attributes:
        options: arguments for images (b 3 h w), from the explainer's hyperparameters.
        reduce: brings attributions (b 3 h w) to scores (b 1 h w).
        gradient: it takes gradients, which can be averaged over noisy copies.
        random: it draws samples.
    """

    options: Callable[["CaptumBaseline", Tensor], dict[str, Any]]
    reduce: Callable[[Tensor], Tensor]
    gradient: bool = False
    random: bool = False


class CaptumBaseline(Explainer):
    """Explains by a method of the package captum, with black as the absence of information.

    Scores are signed, except those of Saliency, in logits. Regions that are removed as one score
    the same in all their pixels. Gradients are summed over the colours, so that those of
    IntegratedGradients add up to the logit less that of a black image; for Saliency, the colour of
    the largest one counts, as in Simonyan et al. (https://arxiv.org/abs/1312.6034).

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        method: a class of captum.attr, one of `CAPTUM_METHODS`.
        samples: steps on the path of IntegratedGradients, masked images that KernelShap learns
            from: raise it to several times the number of regions.
        window: side in pixels of the regions that are removed; Occlusion's overlap by half.
        noisy_copies: of the image, to average gradients over; SmoothGrad is Saliency with 50.
        noise: standard deviation of the noise on the copies, as a share of black to white.
        seed: of all that is random; the same for every image.
        chunk_size: images in the classifier at once.

    Raises:
        InputError: the method is unknown or takes no noisy copies, or captum cannot be imported.
    """

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
        _check_name("method", method, list(CAPTUM_METHODS))
        _package("captum.attr", "captum")
        if noisy_copies and not CAPTUM_METHODS[method].gradient:
            gradients = [name for name, use in CAPTUM_METHODS.items() if use.gradient]
            raise InputError(
                f"noisy_copies average gradients, and {method} takes none; choose one of "
                f"{', '.join(gradients)}, or noisy_copies=0"
            )
        self.method = method
        self.signed = method != "Saliency"
        self.samples = samples
        self.window = window
        self.noisy_copies = noisy_copies
        self.noise = noise
        self.seed = seed
        self.chunk_size = chunk_size

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Call the package: on one image at a time where it draws, for the sake of the seed."""
        package = _package("captum.attr", "captum")
        use = CAPTUM_METHODS[self.method]
        together = 1 if use.random or self.noisy_copies else self.chunk_size
        scores = []
        with _lent(self.classifier, images) as copies:
            method = getattr(package, self.method)(self.classifier)
            arguments: dict[str, Any] = {}
            if self.noisy_copies:
                method = package.NoiseTunnel(method)
                arguments["nt_samples"] = self.noisy_copies
                arguments["nt_samples_batch_size"] = min(self.chunk_size, self.noisy_copies)
                arguments["stdevs"] = float(self.noise)
            labels = target.clone().split(together)
            for part, label in zip(copies.split(together), labels, strict=True):
                part = part.detach().requires_grad_()
                with _seeded(self.seed, part.device):
                    attributions = method.attribute(
                        part, target=label, **arguments, **use.options(self, part)
                    )
                scores.append(use.reduce(attributions.detach()))
        return torch.cat(scores)

    def _nothing(self, images: Tensor) -> dict[str, Any]:
        return {}

    def _path(self, images: Tensor) -> dict[str, Any]:
        return {"n_steps": self.samples, "internal_batch_size": self.chunk_size}

    def _windows(self, images: Tensor) -> dict[str, Any]:
        sides = [min(self.window, side) for side in images.shape[-2:]]
        return {
            "sliding_window_shapes": (3, *sides),
            "strides": (3, *(max(1, side // 2) for side in sides)),
            "perturbations_per_eval": self._room(images),
        }

    def _cells(self, images: Tensor) -> dict[str, Any]:
        rows, columns = (
            torch.arange(side, device=images.device) // self.window for side in images.shape[-2:]
        )
        cells = rows[:, None] * (columns[-1] + 1) + columns
        return {
            "feature_mask": cells[None, None],  # (1 1 h w)
            "perturbations_per_eval": self._room(images),
        }

    def _sampled_cells(self, images: Tensor) -> dict[str, Any]:
        return {"n_samples": self.samples} | self._cells(images)

    def _room(self, images: Tensor) -> int:
        """How many versions of each of the images fit into the classifier at once."""
        return max(1, self.chunk_size // len(images))


_sum = partial(torch.sum, dim=1, keepdim=True)
_mean = partial(torch.mean, dim=1, keepdim=True)
_largest = partial(torch.amax, dim=1, keepdim=True)

CAPTUM_METHODS = {
    "Saliency": _Use(CaptumBaseline._nothing, _largest, gradient=True),
    "InputXGradient": _Use(CaptumBaseline._nothing, _sum, gradient=True),
    "IntegratedGradients": _Use(CaptumBaseline._path, _sum, gradient=True),
    "Occlusion": _Use(CaptumBaseline._windows, _mean),
    "FeatureAblation": _Use(CaptumBaseline._cells, _mean),
    "KernelShap": _Use(CaptumBaseline._sampled_cells, _mean, random=True),
}
"""Classes of captum.attr that need nothing but the classifier's answers and gradients."""


@contextmanager
def _lent(classifier: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """Lend a classifier out: gradients on, float32, and afterwards all hooks and parts as before.

    Gives a copy of the images that may require gradients, whatever mode the caller is in.
    """
    tables = [
        (table, table.copy())
        for part in classifier.modules()
        for table in vars(part).values()
        if isinstance(table, dict)
    ]
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(images.device.type, enabled=False),
        ):
            yield images.detach().float().clone()
    finally:
        for table, entries in tables:
            table.clear()
            table.update(entries)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators, which captum draws from, and put them back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _check_name(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(f"unknown {what} {name!r}; {closest(name, known)}")


def _package(module: str, distribution: str) -> Any:  # noqa: ANN401  a module without types
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"this method is {distribution}'s, which cannot be imported ({error}); "
            'pip install "learned-explainers[compare]"'
        ) from error
