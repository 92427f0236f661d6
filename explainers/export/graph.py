"""A learned explainer as one graph of tensors, which needs none of this library to run."""

import copy

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from explainers.base import Explainer
from explainers.classifier import frozen_networks
from explainers.errors import InputError
from explainers.methods.activation_map import ActivationMap
from explainers.methods.attention_map import AttentionMap
from explainers.methods.cdam import CDAM
from explainers.methods.opticam import OptiCAM
from explainers.methods.ptame_plus import PTAMEPlus
from explainers.methods.rcut import RCut
from explainers.methods.relevance_propagation import RelevancePropagation
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer
from explainers.methods.token_ablation import TokenAblation
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masking_network import enlarge

REASONS: dict[type, str] = {
    OptiCAM: "optimises each map by gradient steps",
    CDAM: "takes a gradient for each image",
    RelevancePropagation: "takes a gradient for each image",
    RCut: "weighs channels by further passes or a gradient, and solves an eigenproblem an image",
    TokenAblation: "takes a pass a patch, changing the network's attention in each",
    AttentionMap: "reads the network's attention from outside, and answers alike for all classes",
    ActivationMap: "answers alike for all classes: export the network's features instead",
    SimilarityExplainer: "explains embeddings of reference images, and the graph takes classes",
}

PREDICTED = -1
"""The label that asks for the class that the classifier predicts."""


class OneGraph(nn.Module):
    """Maps images and labels to maps and, with the classifier inside, to its logits.

    Args:
        explainer: what answers; it is copied.
        with_classifier: answer with logits too, and take the label -1 for the predicted class.
        half: compute in float16, but for what normalises images and draws maps; images, maps and
            logits stay float32.

    Raises:
        InputError: the explainer's answer is not one pass of a network; the message says why.
    """

    def __init__(self, explainer: Explainer, with_classifier: bool, half: bool) -> None:
        super().__init__()
        learned = require_single_pass(explainer)
        self.size = learned.classifier.size
        self.num_classes = learned.classifier.num_classes
        # Copied together: a backbone that is the classifier stays that.
        self.network, self.classifier = copy.deepcopy(
            (learned.network, learned.classifier if with_classifier else None)
        )
        # Asked here: while torch traces, modules are stand-ins of which none is another.
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
        outputs = []
        if self.classifier is None:
            features = self.network.read(image)
        else:
            if self.shares_pass:
                logits, features = self.network.read_with_logits(image)
            else:
                logits, features = self.classifier(image), self.network.read(image)
            label = torch.where(label == PREDICTED, logits.argmax(dim=1), label)
            outputs.append(logits.float())
        known = (label >= 0) & (label < self.num_classes)
        masks = self.network.draw(features, label.clamp(0, self.num_classes - 1))
        maps = self.to_maps(enlarge(masks, image).float())
        return maps.where(known[:, None, None, None], torch.nan), *outputs

    def program(self) -> ExportedProgram:
        """Trace it, for batches of any size."""
        batch = torch.export.Dim("batch")
        example = torch.rand(2, 3, *self.size), torch.zeros(2, dtype=torch.int64)
        with torch.no_grad():
            return torch.export.export(
                self, example, dynamic_shapes={"image": {0: batch}, "label": {0: batch}}
            )

    def _halve(self) -> None:
        frozen = [(part, part.mean, part.std) for part in frozen_networks(self).values()]
        self.half()
        for part, mean, std in frozen:
            part.mean, part.std = mean, std


def require_single_pass(explainer: Explainer) -> LearnedExplainer:
    """The explainer itself, if one pass of a network is its answer; else an InputError says why."""
    name = type(explainer).__name__
    if isinstance(explainer, PTAMEPlus) and explainer.refinement_steps:
        raise InputError(
            f"{name} with refinement_steps={explainer.refinement_steps} cannot be exported: it "
            "optimises each map by gradient steps; set refinement_steps to 0"
        )
    if isinstance(explainer, LearnedExplainer):
        return explainer
    reasons = (reason for kind, reason in REASONS.items() if isinstance(explainer, kind))
    raise InputError(
        f"{name} cannot be exported: it {next(reasons, 'is not one network')}; a learned "
        "explainer (PTAME, TAME, LCAM, PTAMEPlus) can"
    )
