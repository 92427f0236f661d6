"""P-TAME made to learn from minutes of training: one fuser for all classes, and a sharper objective.

Ours, from the parts of P-TAME (https://arxiv.org/abs/2501.17813).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import ClassifierSource
from explainers.errors import MOST_COUNTED, InputError, require_number, require_whole
from explainers.heads.attention_head import AttentionNetwork
from explainers.heads.conditioned_network import (
    backbone_for,
    chosen_stages,
    conditioned_network,
)
from explainers.heads.decoding_head import WIDEST
from explainers.images.normalisation import min_max
from explainers.images.pixel_removal import REMOVALS, Removal
from explainers.methods.cam.mask_refinement import refine
from explainers.methods.ptame import CAM_GAIN, CAM_OFFSET, P_TAME
from explainers.training.class_draw import classes_before
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.losses import confidence_lost, survival
from explainers.training.masking_network import MaskingNetwork, enlarge
from explainers.training.random_threshold import LEAST_TEMPERATURE, drawn_shares, threshold_loss

FILLS = ("black", "mean", "blur", "other_image")


class PTAMEPlus(LearnedExplainer):
    """Explains a classifier by a head that starts as a class activation map and learns to beat it.

    Every part is an option. The objective is computed on the map as it is shown and scored, from
    its own minimum to its own maximum; the masks themselves, which `forward` returns, stay low for
    classes that an image does not show.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        auxiliary: the network whose features the head reads; by default the classifier itself. It
            has to know the classifier's classes.
        stages: which of its stages to read, finest first, the last being what it pools. By
            default that alone, which draws no finer map than a class activation map is; None adds
            those that P-TAME reads. Finer ones need thousands of images: on hundreds, maps may
            collapse.
        conditioned: make the fuser row of a class from the class's row in the auxiliary's last
            layer, and from the image; otherwise learn a row for each class.
        cam_start: start as the auxiliary's class activation map; otherwise from nothing.
        hidden: width of the network that makes the rows.
        decoder_width: draw the map by a convolutional network of this width, at the size of the
            last stage but one, instead of as weighted sums of features; 0 does not. It pays from
            an hour of training on.
        confidence_weight: weight of the confidence lost, less that gained; see
            `losses.confidence_lost`.
        classification_weight: weight of the cross entropy with the predicted class.
        agreement_weight: weight of the Kullback-Leibler divergence from the probabilities on
            the whole image.
        deletion_weight: weight of the prediction that survives on the complement of the mask.
        area_weight: weight of the map's area; raise it if maps flood the image.
        area_budget: share of the image that an area costs nothing below.
        off_target_weight: weight of the mask for a class that another image of the batch shows.
        random_fill: fill removed pixels with black, the mean colour, a blurred image or another
            image of the batch, drawn for each step; otherwise black.
        threshold_weight: weight of the random-threshold objective, which trains the order of the
            pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the map.
        refinement_steps: steps of test-time optimisation of each map, each a forward and a
            backward pass of the classifier, at the same weight of area; 0 answers in a single pass.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: the auxiliary has other classes than the classifier, or options exclude each
            other.
    """

    title = "this project's variant of P-TAME"
    collapse_advice = ", or draw on what the classifier pools alone (stages: [-1])"
    papers = (P_TAME,)

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        auxiliary: ClassifierSource | None = None,
        stages: Sequence[int] | None = (-1,),
        conditioned: bool = True,
        cam_start: bool = True,
        hidden: int = 256,
        decoder_width: int = 0,
        confidence_weight: float = 1.0,
        classification_weight: float = 0.0,
        agreement_weight: float = 0.0,
        deletion_weight: float = 0.0,
        area_weight: float = 0.5,
        area_budget: float = 0.0,
        off_target_weight: float = 0.1,
        random_fill: bool = False,
        threshold_weight: float = 0.0,
        threshold_temperature: float = 0.1,
        refinement_steps: int = 0,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        backbone = backbone_for(self.classifier, auxiliary)
        self.save_hyperparameters({"auxiliary": None if auxiliary is None else backbone.source})
        chosen = chosen_stages(backbone, stages)
        require_whole("hidden", hidden, 1, MOST_COUNTED)
        require_whole("decoder_width", decoder_width, 0, WIDEST)
        require_whole("refinement_steps", refinement_steps, 0, MOST_COUNTED)
        weights = {
            "confidence_weight": confidence_weight,
            "classification_weight": classification_weight,
            "agreement_weight": agreement_weight,
            "deletion_weight": deletion_weight,
            "area_weight": area_weight,
            "off_target_weight": off_target_weight,
            "threshold_weight": threshold_weight,
        }
        for name, weight in weights.items():
            require_number(name, weight, least=0)
        require_number("area_budget", area_budget, 0, 1)
        require_number("threshold_temperature", threshold_temperature, least=LEAST_TEMPERATURE)
        if conditioned and backbone.num_classes < 2:
            raise InputError(
                f"a class is told from others, and {self.classifier.name} has "
                f"{backbone.num_classes}; choose a classifier of two classes or more, or "
                "conditioned: false"
            )
        self.network: MaskingNetwork
        if decoder_width % 8 or (decoder_width and not (conditioned and cam_start)):
            raise InputError(
                f"decoder_width must be a multiple of 8, got {decoder_width}, and draws on the "
                "class activation map: leave conditioned and cam_start true, or decoder_width 0"
            )
        if conditioned:
            self.network = conditioned_network(backbone, chosen, hidden, decoder_width, cam_start)
        else:
            attention = AttentionNetwork(backbone, chosen, backbone.num_classes)
            if cam_start:
                attention.head.start_from_cam(backbone.class_weights, CAM_GAIN, CAM_OFFSET)
            self.network = attention
        self.conditioned = conditioned
        self.confidence_weight = confidence_weight
        self.classification_weight = classification_weight
        self.agreement_weight = agreement_weight
        self.deletion_weight = deletion_weight
        self.area_weight = area_weight
        self.area_budget = area_budget
        self.off_target_weight = off_target_weight
        self.random_fill = random_fill
        self.threshold_weight = threshold_weight
        self.threshold_temperature = threshold_temperature
        self.refinement_steps = refinement_steps
        self.start_from(init_from, freeze_taken)

    @property
    def export_obstacle(self) -> str | None:  # type: ignore[override]  # read-only here
        """Test-time optimisation, where `refinement_steps` asks for it."""
        if not self.refinement_steps:
            return None
        return "optimises each map by gradient steps; set refinement_steps to 0"

    @property
    def fixed_classes(self) -> bool:  # type: ignore[override]  # read-only here
        """Whether a row was learned for each class, and not one function that makes them all."""
        return not self.conditioned

    def postprocess(self, images: Tensor, target: Tensor, masks: Tensor) -> Tensor:
        """Refine the masks where `refinement_steps` says so."""
        if not self.refinement_steps:
            return masks
        return refine(
            self.classifier, images, target, masks, self.refinement_steps, self.area_weight
        )

    def to_maps(self, scores: Tensor) -> Tensor:
        """Stretch the masks to [0, 1], as in training."""
        return min_max(scores)

    def target_classes(self, labels: Tensor) -> Tensor:
        """Each image's own class, and that of the image before it in all processes' batches (b 2)."""
        return torch.stack([labels, classes_before(labels)], dim=1)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Confidence lost, prediction surviving, area of the masks, on target and off."""
        own, other = masks[:, :1], masks[:, 1]
        maps = self.to_maps(enlarge(own, images))
        remove = self._removal()
        decision = self.classifier.decision
        masked = self.classifier(remove(images, maps))
        before, after = (decision.probability_of(labels, one) for one in (logits, masked))
        others = classes_before(labels)
        absent = labels != others
        if not decision.exclusive:
            absent &= ~decision.shown(logits).gather(1, others[:, None])[:, 0]
        terms = {
            "confidence": self.confidence_weight * confidence_lost(before, after),
            "classification": self.classification_weight
            * F.nll_loss(decision.log_probabilities(masked), labels),
            "agreement": self.agreement_weight * decision.divergence(logits, masked),
            "area": self.area_weight * (maps.mean(dim=(1, 2, 3)) - self.area_budget).relu().mean(),
            "off_target": self.off_target_weight * (other.mean(dim=(1, 2)) * absent).mean(),
        }
        if self.deletion_weight:
            left = self.classifier(remove(images, 1 - maps))
            surviving = survival(decision.probability_of(labels, left))
            terms["deletion"] = self.deletion_weight * surviving
        if self.threshold_weight:
            given = (labels, maps, drawn_shares(labels, self.global_step))
            terms["threshold"] = self.threshold_weight * threshold_loss(
                self.classifier, images, *given, self.threshold_temperature, remove
            )
        return terms

    def _removal(self) -> Removal:
        """Removal of pixels in this step; the same in a fit that is resumed."""
        if not self.random_fill:
            return REMOVALS["black"]
        generator = torch.Generator().manual_seed(self.global_step)
        return REMOVALS[FILLS[int(torch.randint(len(FILLS), (), generator=generator))]]
