"""A learned explainer as one graph of tensors, which runs without this library."""

import copy

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from explainers.base import Explainer
from explainers.classifier import frozen_networks
from explainers.errors import InputError
from explainers.training.learned_explainer import LearnedExplainer

PREDICTED = -1
"""The label that stands for the class that the classifier predicts."""


class ExplainerGraph(nn.Module):
    """Maps images and labels to maps and, with the classifier inside, to its logits.

    Args:
        explainer: a learned explainer; it is copied.
        with_classifier: put out logits too, and take the label -1 for the predicted class.
        half: compute in float16, but for the normalisation of images and the drawing of maps;
            images, maps and logits stay float32.

    Raises:
        InputError: the explainer cannot be exported; the message says why.
    """

    def __init__(self, explainer: Explainer, with_classifier: bool, half: bool) -> None:
        super().__init__()
        learned = require_single_pass(explainer)
        self.size = learned.classifier.size
        self.num_classes = learned.classifier.num_classes
        # Copied in one call: a backbone that is the classifier stays that.
        self.network, self.classifier = copy.deepcopy(
            (learned.network, learned.classifier if with_classifier else None)
        )
        # Compared here: while torch traces, modules are stand-ins of which none is another.
        self.shares_pass = self.network.backbone is self.classifier
        self.to_maps = learned.to_maps
        self.requires_grad_(False).eval()
        if half:
            self._halve()
        for weight in [*self.parameters(), *self.buffers()]:
            weight.data = weight.data.contiguous()  # .pt2 files hold plain rows

    def forward(self, image: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """Map images (b 3 h w) in [0, 1] and labels (b) to maps (b 1 h w), and logits (b classes).

        The map for a label that is no class is NaN.
        """
        if self.classifier is None:
            return (self._maps(image, label, self.network.read(image)),)
        other = None if self.shares_pass else self.classifier
        logits, features = self.network.read_with_logits(image, other)
        label = torch.where(label == PREDICTED, logits.argmax(dim=1), label)
        return self._maps(image, label, features), logits.float()

    def program(self) -> ExportedProgram:
        """Trace the graph, for batches of any size."""
        batch = torch.export.Dim("batch")
        example = torch.rand(2, 3, *self.size), torch.zeros(2, dtype=torch.int64)
        with torch.no_grad():
            return torch.export.export(
                self, example, dynamic_shapes={"image": {0: batch}, "label": {0: batch}}
            )

    def _maps(self, image: Tensor, label: Tensor, features: list[Tensor]) -> Tensor:
        known = (label >= 0) & (label < self.num_classes)
        masks = self.network.masks(features, label.clamp(0, self.num_classes - 1), image)
        maps = self.to_maps(masks.float())
        return maps.where(known[:, None, None, None], torch.nan)

    def _halve(self) -> None:
        frozen = [(part, part.mean, part.std) for part in frozen_networks(self).values()]
        self.half()
        for part, mean, std in frozen:
            part.mean, part.std = mean, std


def require_single_pass(explainer: Explainer) -> LearnedExplainer:
    """Refuse explainers whose map is not one pass of one network; return the others.

    Raises:
        InputError: with the `export_obstacle` of the explainer.
    """
    obstacle = explainer.export_obstacle
    if isinstance(explainer, LearnedExplainer):
        if obstacle is None:
            return explainer
        way_out = ""  # the obstacle names it
    else:
        obstacle = obstacle or "is not one network"
        way_out = "; a learned explainer, as PTAME or PTAMEPlus, can"
    raise InputError(f"{type(explainer).__name__} cannot be exported: it {obstacle}{way_out}")
