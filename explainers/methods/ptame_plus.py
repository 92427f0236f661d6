"""P-TAME made to learn from minutes of training: one head for all classes, and mosaics to learn from.

Ours, from the parts of P-TAME (https://arxiv.org/abs/2501.17813).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Batch
from explainers.classifier import ClassifierSource
from explainers.classifier.seeding import seeded
from explainers.errors import MOST_COUNTED, require_number, require_whole
from explainers.heads.conditioned_network import (
    backbone_for,
    chosen_stages,
    conditioned_network,
)
from explainers.heads.decoding_head import WIDEST
from explainers.heads.evidence_head import EvidenceNetwork
from explainers.images.normalisation import min_max
from explainers.images.pixel_removal import keep
from explainers.methods.cam.mask_refinement import refine
from explainers.methods.ptame import P_TAME
from explainers.training.class_draw import classes_before
from explainers.training.distributed import step_seed
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.losses import confidence_lost, survival
from explainers.training.masking_network import MaskingNetwork, enlarge
from explainers.training.mosaics import known_mosaics
from explainers.training.random_threshold import LEAST_TEMPERATURE, drawn_shares, threshold_loss


class PTAMEPlus(LearnedExplainer):
    """Explains a classifier by a head that starts as a class activation map and learns to beat it.

    Every part is an option. The objective is computed on the map as it is shown and scored, from
    its own minimum to its own maximum; the masks themselves, which `forward` returns, stay low for
    classes that an image does not show.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        auxiliary: the network whose features the head reads; by default the classifier itself. It
            has to know the classifier's classes.
        evidence_width: width of the head that sees what each place says of a class; see
            `EvidenceHead`. 0 draws weighted sums of features instead.
        feature_sums: how many sums of each stage's channels that head sees, too. They pay from
            hundreds of images on; 0 shows it none.
        stages: which of its stages to read, finest first, the last being what it pools. By
            default that alone; None adds those that P-TAME reads. Weighted sums of finer ones need
            thousands of images: on hundreds, maps may collapse.
        hidden: width of the network that makes a row of weights for sums of features.
        decoder_width: draw the map by a convolutional network of this width over the features, at
            the size of the last stage but one, instead of from evidence; 0 does not.
        confidence_weight: weight of the confidence lost, less that gained; see
            `losses.confidence_lost`.
        classification_weight: weight of the cross entropy with the predicted class.
        deletion_weight: weight of the prediction that survives on the complement of the mask.
        area_weight: weight of the map's area; raise it if maps flood the image.
        area_budget: share of the image that an area costs nothing below.
        off_target_weight: weight of the mask for a class that another image of the batch shows.
        sizes: heights and widths in pixels that the images of a step are resized to, one drawn for
            each step; by default they are taken as they are. Maps hold at the sizes trained at.
        mosaics: how many 2x2 mosaics of the batch's images are added to each batch, drawn anew in
            each step; the objective looks at each for the class of one of its cells.
        region_weight: weight of -log of the share of a map's energy in the cells of its class, for
            the classes of all cells that the classifier knows surely; costs no masked pass.
        threshold_weight: weight of the random-threshold objective, which trains the order of the
            pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the map.
        refinement_steps: steps of test-time optimisation of each map, each a forward and a
            backward pass of the classifier; 0 answers in a single pass.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: the auxiliary has other classes than the classifier, or a number is out of its
            range.
    """

    title = "this project's variant of P-TAME"
    fixed_classes = False
    collapse_advice = ", or draw on what the classifier pools alone (stages: [-1])"
    papers = (P_TAME,)

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        auxiliary: ClassifierSource | None = None,
        evidence_width: int = 32,
        feature_sums: int = 0,
        stages: Sequence[int] | None = (-1,),
        hidden: int = 256,
        decoder_width: int = 0,
        confidence_weight: float = 2.0,
        classification_weight: float = 0.25,
        deletion_weight: float = 0.0,
        area_weight: float = 6.0,
        area_budget: float = 0.27,
        off_target_weight: float = 0.1,
        sizes: Sequence[int] = (),
        mosaics: int = 6,
        region_weight: float = 1.0,
        threshold_weight: float = 0.25,
        threshold_temperature: float = 0.05,
        refinement_steps: int = 0,
        lr: float = 3e-3,
        weight_decay: float = 0.05,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        backbone = backbone_for(self.classifier, auxiliary)
        self.save_hyperparameters({"auxiliary": None if auxiliary is None else backbone.source})
        chosen = chosen_stages(backbone, stages)
        require_whole("hidden", hidden, 1, MOST_COUNTED)
        require_whole("evidence_width", evidence_width, 0, WIDEST)
        require_whole("feature_sums", feature_sums, 0, WIDEST)
        require_whole("decoder_width", decoder_width, 0, WIDEST)
        for size in sizes:
            require_whole("sizes", size, 1, MOST_COUNTED)
        require_whole("mosaics", mosaics, 0, MOST_COUNTED)
        require_whole("refinement_steps", refinement_steps, 0, MOST_COUNTED)
        weights = {
            "confidence_weight": confidence_weight,
            "classification_weight": classification_weight,
            "deletion_weight": deletion_weight,
            "area_weight": area_weight,
            "off_target_weight": off_target_weight,
            "region_weight": region_weight,
            "threshold_weight": threshold_weight,
        }
        for name, weight in weights.items():
            require_number(name, weight, least=0)
        require_number("area_budget", area_budget, 0, 1)
        require_number("threshold_temperature", threshold_temperature, least=LEAST_TEMPERATURE)
        self.network: MaskingNetwork
        if decoder_width or not evidence_width:
            self.network = conditioned_network(backbone, chosen, hidden, decoder_width)
        else:
            self.network = EvidenceNetwork(backbone, chosen, evidence_width, feature_sums)
        self.confidence_weight = confidence_weight
        self.classification_weight = classification_weight
        self.deletion_weight = deletion_weight
        self.area_weight = area_weight
        self.area_budget = area_budget
        self.off_target_weight = off_target_weight
        self.sizes = list(sizes)
        self.mosaics = mosaics
        self.region_weight = region_weight
        self.threshold_weight = threshold_weight
        self.threshold_temperature = threshold_temperature
        self.refinement_steps = refinement_steps
        if self.classifier.decision.exclusive:
            self.map_meaning = "evidence for the class rather than its rivals"
        self.start_from(init_from, freeze_taken)

    @property
    def export_obstacle(self) -> str | None:  # type: ignore[override]  # read-only here
        """Test-time optimisation, where `refinement_steps` asks for it."""
        if not self.refinement_steps:
            return None
        return "optimises each map by gradient steps; set refinement_steps to 0"

    def postprocess(self, images: Tensor, target: Tensor, masks: Tensor) -> Tensor:
        """Refine the masks where `refinement_steps` says so."""
        if not self.refinement_steps:
            return masks
        return refine(self.classifier, images, target, masks, self.refinement_steps)

    def to_maps(self, scores: Tensor) -> Tensor:
        """Stretch the masks to [0, 1], as in training."""
        return min_max(scores)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the sum of the losses, on images of one of the sizes."""
        if self.sizes:
            generator = torch.Generator().manual_seed(self.global_step)
            size = self.sizes[int(torch.randint(len(self.sizes), (), generator=generator))]
            shown = F.interpolate(batch["image"], (size, size), mode="bilinear", antialias=True)
            batch = batch | {"image": shown.clamp(0, 1)}
        return super().training_step(batch, batch_idx)

    def target_classes(self, labels: Tensor) -> Tensor:
        """Each image's own class, and that of the image before it in all processes' batches (b 2)."""
        return torch.stack([labels, classes_before(labels)], dim=1)

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Confidence lost, prediction surviving, area of the masks, on target, off, and in mosaics."""
        others = classes_before(labels)
        decision = self.classifier.decision
        absent = labels != others
        if not decision.exclusive:
            absent &= ~decision.shown(logits).gather(1, others[:, None])[:, 0]
        terms = {
            "off_target": self.off_target_weight * (masks[:, 1].mean(dim=(1, 2)) * absent).mean()
        }
        maps = self.to_maps(enlarge(masks[:, :1], images))
        if self.threshold_weight:
            given = (labels, maps, drawn_shares(labels, self.global_step))
            terms["threshold"] = self.threshold_weight * threshold_loss(
                self.classifier, images, *given, self.threshold_temperature
            )
        if self.mosaics:
            sure = decision.probability_of(labels, logits)
            shown = known_mosaics(images, labels, sure, self.mosaics, self.global_step)
            more, features = self.read(shown.images)
            with seeded(step_seed(self.global_step)):  # dropout, of resumed fits too
                drawn = enlarge(self.network.draw(features, shown.classes), images)
            drawn = self.to_maps(drawn.flatten(0, 1)[:, None]).view(-1, 4, *images.shape[-2:])
            terms["region"] = self.region_weight * shown.region_loss(drawn)
            cell = self.global_step % 4  # the one that is masked, too
            images, logits = torch.cat([images, shown.images]), torch.cat([logits, more])
            labels = torch.cat([labels, shown.classes[:, cell]])
            maps = torch.cat([maps, drawn[:, cell : cell + 1]])
        return terms | self._masking_terms(images, labels, maps, logits)

    def _masking_terms(
        self, images: Tensor, labels: Tensor, maps: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Terms of the classifier's answers to masked images, and the area of the maps."""
        decision = self.classifier.decision
        masked = self.classifier(keep(images, maps))
        before, after = (decision.probability_of(labels, one) for one in (logits, masked))
        areas = maps.mean(dim=(1, 2, 3))
        terms = {
            "confidence": self.confidence_weight * confidence_lost(before, after),
            "classification": self.classification_weight
            * F.nll_loss(decision.log_probabilities(masked), labels),
            "area": self.area_weight * (areas - self.area_budget).relu().mean(),
        }
        if self.deletion_weight:
            left = self.classifier(keep(images, 1 - maps))
            surviving = survival(decision.probability_of(labels, left))
            terms["deletion"] = self.deletion_weight * surviving
        return terms
