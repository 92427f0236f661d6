"""Class activation maps of the package grad-cam."""

from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from explainers.base import Explainer
from explainers.baselines.packages import lent, package
from explainers.citation import GRAD_CAM
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import logits_of
from explainers.classifier.layer_reader import LayerReader
from explainers.errors import InputError, require_known

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
    """A class activation map method of the package grad-cam.

    Scores are as the package returns them: the positive part, scaled to [0, 1] for each image.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        method: one of `CAM_METHODS`.
        layer: the module whose output channels are weighted, by its name in timm's model; by
            default what the head pools or, where that is tokens, what the last attention reads.

    Raises:
        InputError: the method or the layer is unknown, or grad-cam cannot be imported.
    """

    needs = "the package grad-cam"
    title = "Grad-CAM (package grad-cam)"
    papers = (GRAD_CAM,)
    export_obstacle = "is a method of the package grad-cam, of gradients or many passes an image"

    def __init__(
        self, classifier: ClassifierSource, method: str = "GradCAM", layer: str | None = None
    ) -> None:
        super().__init__(classifier)
        require_known("method", method, CAM_METHODS)
        package("pytorch_grad_cam", "grad-cam")
        outputs, pooled = _outputs(self.classifier)
        self.method = self.label = method
        self.layer = _default_layer(outputs, pooled, self.classifier) if layer is None else layer
        require_known("layer", self.layer, outputs)
        output = outputs[self.layer]
        self._channels_last = self.classifier.as_maps(output, self.classifier.size) is not output

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Weight the channels of the layer, as the package does."""
        grad_cam = package("pytorch_grad_cam", "grad-cam")
        chosen = grad_cam.utils.model_targets.ClassifierOutputTarget
        # Some draw a progress bar for each image, and have no switch for it.
        with lent(self.classifier, images) as copies, redirect_stderr(StringIO()):
            # Looked up here: AblationCAM of another thread puts a layer in a layer's place.
            options: dict[str, Any] = {
                "target_layers": [self.classifier.model.get_submodule(self.layer)],
                "reshape_transform": partial(self.classifier.as_maps, size=images.shape[-2:]),
            }
            if self.method == "AblationCAM":  # by default, one module that all share
                kind = "AblationLayerVit" if self._channels_last else "AblationLayer"
                options["ablation_layer"] = getattr(grad_cam.ablation_layer, kind)()
            cam = getattr(grad_cam, self.method)(self.classifier, **options)
            copies.requires_grad_(cam.uses_gradients)
            scores = torch.from_numpy(cam(copies, [chosen(label) for label in target.tolist()]))
        return scores[:, None].to(images.device)


def _outputs(classifier: FrozenClassifier) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs of all modules for a black image (1 …), by name, and the head's input, or logits."""
    model = classifier.model
    outputs: dict[str, Tensor] = {}

    def note(name: str, part: nn.Module, arguments: object, output: object) -> None:
        if isinstance(output, Tensor):
            outputs[name] = output

    black = classifier.mean.new_zeros(1, 3, *classifier.size)
    with lent(classifier, black) as image, torch.no_grad():
        for name, part in model.named_modules():
            if name:
                part.register_forward_hook(partial(note, name))
        body: Callable[[Tensor], Tensor] = getattr(model, "forward_features", model)
        pooled: Tensor = logits_of(body(classifier.prepare(image)))
    return outputs, pooled


def _default_layer(outputs: dict[str, Tensor], pooled: Tensor, classifier: FrozenClassifier) -> str:
    reader = classifier.reader if pooled.ndim == 2 else None  # of a network that is not timm's
    if isinstance(reader, LayerReader):
        # A module that puts out an object has one in it that puts out the tensor.
        inside = [n for n in reader.inside(reader.layers[reader.default_stage]) if n in outputs]
        names = sorted(
            (name for name in inside if outputs[name] is outputs[inside[-1]]),
            key=lambda name: name.count("."),
        )
    elif pooled.ndim == 3:
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
