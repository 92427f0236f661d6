"""A U-Net over frozen features, trained by what its masks keep and what they delete.

Dabkowski, Gal: Real Time Image Saliency (https://arxiv.org/abs/1705.07857). Phang, Park, Geras
(https://arxiv.org/abs/2010.09750). Stalder et al.: NN-Explainer
(https://arxiv.org/abs/2205.11266).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.errors import InputError, require_known, require_number, require_whole
from explainers.heads.attention_head import default_stages
from explainers.heads.unet_head import UNetNetwork
from explainers.training import LearnedExplainer
from explainers.training.class_draw import absent_classes, listed, present
from explainers.training.masking_network import enlarge
from explainers.training.random_threshold import LEAST_TEMPERATURE, drawn_shares, threshold_loss
from explainers.training.two_sided_objective import PRESETS, Masks, TwoSidedObjective

WIDEST_DECODER = 1024
MOST_PRESENT = 8  # masks of an image that are drawn at once; of more classes, the likeliest

RTIS = Paper(
    "dabkowski2017rtis",
    "Real Time Image Saliency for Black Box Classifiers",
    "Dabkowski, Piotr and Gal, Yarin",
    "1705.07857",
)
PHANG = Paper(
    "phang2020masking",
    "Investigating and Simplifying Masking-based Saliency Methods for Model Interpretability",
    "Phang, Jason and Park, Jungkyu and Geras, Krzysztof J.",
    "2010.09750",
)
NN_EXPLAINER = Paper(
    "stalder2022nnexplainer",
    "What You See is What You Classify: Black Box Attributions",
    "Stalder, Steven and Perraudin, Nathanaël and Achanta, Radhakrishna and Perez-Cruz, Fernando "
    "and Volpi, Michele",
    "2205.11266",
)


class MaskingUNet(LearnedExplainer):
    """Explains a classifier by a decoder whose deepest features the class gates.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        auxiliary: the network whose features are decoded; by default the classifier itself.
        stages: which of its stages to read, finest first. By default the last one at each of the
            strides 4 to 32, or a transformer's last four blocks, and what it pools.
        width: channels of the decoder.
        class_rows: gate by the class's row in the last layer of the network that is read, as far
            as it knows the classes and has such rows; otherwise, learn an embedding of each class.
        preset: of the weights, a key of `two_sided_objective.PRESETS`: `rtis`, `phang` or
            `nn_explainer`. The latter looks at all classes at once that an image shows.
        classification_weight: weight of the cross entropy on what is kept. Here and below, None is
            the preset's; see `TwoSidedObjective`.
        destroy_weight: weight of the probability of the class on what is deleted.
        destroy_power: exponent of this probability.
        entropy_weight: weight of the entropy on what is deleted, a share of its maximum.
        area_weight: weight of the masks' area; raise it if masks flood the image.
        bounds_weight: weight of a mask's area outside of the two bounds.
        least_area: share of the image that a mask should have at least.
        greatest_area: share of the image that it should have at most.
        variation_weight: weight of `losses.variation`.
        absent_share: share of the objective that is of masks of classes that an image does not
            show, which should be empty.
        fills: of removed pixels, one drawn for each step, of `black`, `mean`, `blur`, `noise`,
            `other_image`, `in_fill` and `coloured_noise`.
        threshold_weight: weight of the random-threshold objective (ours), which trains the order
            of the pixels; see `random_threshold`.
        threshold_temperature: softness of its threshold, in units of the mask.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: the classifier tells no classes apart, or the last stage is not what is pooled
            and class rows are to gate it.
    """

    title = "masking U-Net"
    papers = (RTIS, PHANG, NN_EXPLAINER)
    collapse_advice = ", or choose another preset"
    network: UNetNetwork

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        auxiliary: ClassifierSource | None = None,
        stages: Sequence[int] | None = None,
        width: int = 64,
        class_rows: bool = True,
        preset: str = "rtis",
        classification_weight: float | None = None,
        destroy_weight: float | None = None,
        destroy_power: float | None = None,
        entropy_weight: float | None = None,
        area_weight: float | None = None,
        bounds_weight: float | None = None,
        least_area: float | None = None,
        greatest_area: float | None = None,
        variation_weight: float | None = None,
        absent_share: float | None = None,
        fills: Sequence[str] | None = None,
        threshold_weight: float = 0.0,
        threshold_temperature: float = 0.1,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        backbone = self.classifier if auxiliary is None else FrozenClassifier.of(auxiliary)
        self.save_hyperparameters({"auxiliary": None if auxiliary is None else backbone.source})
        if self.classifier.num_classes < 2:
            raise InputError(
                f"masks are of classes that are told apart, and {self.classifier.name} has "
                f"{self.classifier.num_classes}; choose a classifier of two classes or more"
            )
        require_known("preset", str(preset), PRESETS)
        given = {
            "classification_weight": classification_weight,
            "destroy_weight": destroy_weight,
            "destroy_power": destroy_power,
            "entropy_weight": entropy_weight,
            "area_weight": area_weight,
            "bounds_weight": bounds_weight,
            "least_area": least_area,
            "greatest_area": greatest_area,
            "variation_weight": variation_weight,
            "absent_share": absent_share,
            "fills": fills,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        self.objective = TwoSidedObjective(**PRESETS[preset] | chosen)
        require_number("threshold_weight", threshold_weight, least=0)
        require_number("threshold_temperature", threshold_temperature, least=LEAST_TEMPERATURE)
        self.threshold_weight = threshold_weight
        self.threshold_temperature = threshold_temperature
        self.unites = preset == "nn_explainer"
        require_whole("width", width, 1, WIDEST_DECODER)
        read = [*default_stages(backbone), -1] if stages is None else list(stages)
        require_stages(backbone.stages, read)
        by_rows = bool(class_rows) and gives_rows(backbone, self.classifier)
        if by_rows and read[-1] % len(backbone.stages) != len(backbone.stages) - 1:
            raise InputError(
                f"stages must end with -1, what {backbone.name} pools, for the class's row to gate "
                f"it, got {read}; add it, or set class_rows: false"
            )
        embedded = 0 if by_rows else self.classifier.num_classes
        self.network = UNetNetwork(backbone, read, width, embedded)
        self.start_from(init_from, freeze_taken)

    @property
    def fixed_classes(self) -> bool:  # type: ignore[override]  # read-only here
        """Whether an embedding was learned for each class."""
        return self.network.embedding is not None

    def step_classes(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Classes (b n): those that are there, and last one that is not if `absent_share` asks.

        The first is the label.
        """
        shown = present(self.classifier.decision, labels, logits)
        classes = labels[:, None]
        if self.unites and not self.classifier.decision.exclusive:
            classes = listed(shown, labels, logits, MOST_PRESENT)
        if self.objective.absent_share:
            absent = absent_classes(shown, labels, 4 * self.global_step)
            classes = torch.cat([classes, absent[:, None]], dim=1)
        return classes

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The two-sided objective, of the preset's weights, and that of random thresholds."""
        sorted_out = self._masks(labels, masks, self.step_classes(labels, logits))
        remove = self.objective.removal(labels, self.global_step)
        terms = self.objective.losses(self.classifier, images, sorted_out, remove)
        if self.threshold_weight:
            given = (labels, enlarge(masks[:, :1], images), drawn_shares(labels, self.global_step))
            terms["threshold"] = self.threshold_weight * threshold_loss(
                self.classifier, images, *given, self.threshold_temperature, remove
            )
        return terms

    def _masks(self, labels: Tensor, masks: Tensor, classes: Tensor) -> Masks:
        """Masks (b n _ _) for `step_classes` (b n), as present ones and absent ones."""
        count = classes.shape[1] - bool(self.objective.absent_share)
        counted = classes[:, :count] != labels[:, None]
        counted[:, 0] = True
        there = Masks(masks[:, :count], classes[:, :count], counted)
        if count == classes.shape[1]:
            return there
        return there._replace(absent=masks[:, count:], lacking=classes[:, -1] != labels)

    def _log_training(
        self, labels: Tensor, classes: Tensor, masks: Tensor, losses: dict[str, Tensor]
    ) -> None:
        # Masks of other classes that are there may be as large as that of the label.
        ends = [0, -1] if self.objective.absent_share else [0]
        super()._log_training(labels, classes[:, ends], masks[:, ends], losses)


def gives_rows(backbone: FrozenClassifier, classifier: FrozenClassifier) -> bool:
    """Whether a network's last layer has rows of the classes of the classifier."""
    if backbone.num_classes != classifier.num_classes or backbone.decision != classifier.decision:
        return False
    try:
        return len(backbone.class_weights) == classifier.num_classes
    except InputError:
        return False
