"""Distillation: a head that answers in one pass what any other explainer answers in many.

Covert et al.: Stochastic Amortization (https://arxiv.org/abs/2401.15866), where teachers are noisy
and unbiased estimates; here any explainer is a teacher.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize as resize_images

from explainers.base import Batch, Explainer
from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.errors import MOST_COUNTED, InputError, require_known, require_number, require_whole
from explainers.from_config import build
from explainers.heads.auxiliary import require_same_classes
from explainers.heads.conditioned_head import ConditionedHead, ConditionedNetwork
from explainers.heads.decoding_head import DecodingHead, require_width
from explainers.images.normalisation import min_max
from explainers.training.answer_files import AnswerFiles, room_in
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masking_network import Readings, enlarge

AMORTISED = Paper(
    "covert2024amortization",
    "Stochastic Amortization: A Unified Approach to Accelerate Feature and Data Attribution",
    "Covert, Ian and Kim, Chanwoo and Lee, Su-In and Zou, James and Hashimoto, Tatsunori",
    "2401.15866",
)

SCALES = {
    "minmax": "each map of the teacher from its minimum to its maximum",
    "signed": "each map of the teacher by its largest size, zero staying zero",
}
"""Scales of what the student learns, in words."""


class Distilled(LearnedExplainer):
    """Learns to answer in a single pass what a teacher, any explainer, answers in many.

    The teacher's maps of training images are computed once, kept on disk by the pixels of the
    image, and found again in later epochs and fits; training then asks neither the teacher nor,
    with a feature cache, the classifier. Crops that never come back are never found: let the data
    repeat itself (`crops` of `ShardsDataModule`, `length` of `ScenesDataModule`).

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        teacher: class_path and init_args of an explainer, without the classifier. Only training
            needs it: a bundle answers without.
        auxiliary: the network whose features the head reads; by default the classifier itself.
        stages: which of its stages to read, finest first, the last being what it pools.
        decoder_width: draw the map by a convolutional network of this width, a multiple of 8;
            0 draws it as weighted sums of features.
        hidden: width of the network that makes their weights.
        scale: of the teacher's maps, a key of `SCALES`: `minmax`, or `signed` for teachers whose
            scores are.
        classes_per_image: likeliest classes of each image that are learned from.
        mosaics: of four images of a batch each, 2 x 2, which are learned from beside the batch.
        teacher_size: height and width at which the teacher's maps are kept, in pixels.
        teacher_maps: folder that they are kept in.
        teacher_limit: of the folder, in GiB; the teacher is asked each time for what is beyond.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: a number is out of its range, or the auxiliary has other classes.
    """

    title = "distilled from another explainer"
    papers = (AMORTISED,)
    fixed_classes = False

    def __init__(
        self,
        classifier: ClassifierSource = "resnet50",
        teacher: dict[str, Any] | None = None,
        auxiliary: ClassifierSource | None = None,
        stages: Sequence[int] = (-1,),
        decoder_width: int = 0,
        hidden: int = 256,
        scale: str = "minmax",
        classes_per_image: int = 1,
        mosaics: int = 0,
        teacher_size: int = 56,
        teacher_maps: str = "teacher_maps",
        teacher_limit: float = 10.0,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        backbone = self.classifier if auxiliary is None else FrozenClassifier.of(auxiliary)
        self.save_hyperparameters({"auxiliary": None if auxiliary is None else backbone.source})
        require_same_classes(backbone, self.classifier)
        require_stages(backbone.stages, list(stages))
        require_known("scale", scale, SCALES)
        require_whole("hidden", hidden, 1, MOST_COUNTED)
        require_whole("classes_per_image", classes_per_image, 1, self.classifier.num_classes)
        require_whole("mosaics", mosaics, 0, MOST_COUNTED)
        require_whole("teacher_size", teacher_size, 2, MOST_COUNTED)
        require_number("teacher_limit", teacher_limit, above=0)
        channels = [backbone.stages[stage].channels for stage in stages]
        head: ConditionedHead | DecodingHead = ConditionedHead(channels, hidden)
        if decoder_width:
            require_width("decoder_width", decoder_width)
            head = DecodingHead(channels, decoder_width)
        self.network = ConditionedNetwork(backbone, list(stages), head)
        self.teacher = teacher
        self.signed = scale == "signed"
        self.classes_per_image, self.mosaics = classes_per_image, mosaics
        self.teacher_size, self.teacher_limit = teacher_size, teacher_limit
        self.teacher_maps = Path(teacher_maps)
        self._asked: tuple[Explainer, AnswerFiles] | None = None
        self.start_from(init_from, freeze_taken)

    def postprocess(self, images: Tensor, target: Tensor, masks: Tensor) -> Tensor:
        """Signed scores, with 0 where a mask is a half, or the masks themselves."""
        return 2 * masks - 1 if self.signed else masks

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already; signed scores are stretched."""
        return min_max(scores) if self.signed else scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the squared error of the masks from the teacher's maps."""
        images = torch.cat(
            [batch["image"], mosaics_of(batch["image"], self.mosaics, self.global_step)]
        )
        classes, taught = self.taught(images)
        cache = self.feature_cache
        features = cache(images, self.read)[1] if cache else self.network.read(images)
        masks = self.network.draw(features, classes)
        loss = squared_error(masks, taught)
        terms = {"distillation": loss, "loss": loss}
        self._log_training(classes[:, 0], classes, masks.detach(), terms)
        return loss

    def step_classes(self, labels: Tensor, logits: Tensor) -> Tensor:
        """The likeliest classes of each image (b n)."""
        return logits.topk(self.classes_per_image, dim=1).indices

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Squared error of masks (b n _ _) of the likeliest classes from the teacher's maps."""
        return {"distillation": squared_error(masks, self.taught(images)[1])}

    @torch.no_grad()
    def taught(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classes (b n) of images (b 3 h w) and the teacher's maps of them (b n s s) in [0, 1].

        Raises:
            InputError: no teacher is named, or it cannot be built.
        """
        _, files = self._asked = self._asked or self._teacher()
        classes, (maps,) = files(images.float(), self._ask)
        return classes, maps.float()

    def _teacher(self) -> tuple[Explainer, AnswerFiles]:
        if self.teacher is None:
            raise InputError(
                "Distilled learns from a teacher; name one, as teacher: {class_path: "
                "explainers.OptiCAM}"
            )
        teacher: Explainer = build(self.teacher, Explainer, classifier=self.classifier)
        what = [self.teacher, self.classifier.fingerprint(), self.signed]
        what += [self.classes_per_image, self.teacher_size]
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        room = room_in(self.teacher_maps, self.teacher_limit)
        return teacher.eval(), AnswerFiles(
            self.teacher_maps / name, room, "store of teacher's maps"
        )

    def _ask(self, images: Tensor) -> Readings:
        """Classes of images (b 3 h w), and what the teacher says of them, to be kept."""
        assert self._asked is not None  # `taught` has set it
        teacher = self._asked[0].to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            classes = self.step_classes(images, self.classifier(images))
            repeated = images.repeat_interleave(self.classes_per_image, dim=0)
            scores = teacher(repeated, classes.flatten()).detach()
        maps = (1 + scores / largest(scores)) / 2 if self.signed else min_max(scores)
        size = [self.teacher_size] * 2
        small = F.interpolate(maps, size, mode="bilinear", antialias=True).clamp(0, 1)
        return classes, [small.half().view(*classes.shape, *size)]


def squared_error(masks: Tensor, taught: Tensor) -> Tensor:
    """Mean squared error of masks (b n _ _) from maps (b n h w), at the maps' size."""
    shown = F.interpolate(masks, taught.shape[-2:], mode="bilinear", antialias=True)
    return F.mse_loss(shown, taught.to(shown))


def largest(scores: Tensor) -> Tensor:
    """Largest size (b 1 1 1) of the scores (b 1 h w) of each map; 1 where all are 0."""
    size = scores.abs().amax(dim=(1, 2, 3), keepdim=True)
    return size.where(size > 0, 1.0)


def mosaics_of(images: Tensor, count: int, seed: int) -> Tensor:
    """Mosaics (count 3 h w) of 2 x 2 of the images (b 3 h w), which are drawn by a seed."""
    height, width = images.shape[-2] // 2, images.shape[-1] // 2
    if not count:
        return images[:0]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(images), (count, 2, 2), generator=generator)
    small = resize_images(images, [height, width], antialias=True)
    cells = small[drawn.to(images.device)]  # (count 2 2 3 _ _)
    whole = cells.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, 2 * height, 2 * width)
    return enlarge(whole, images)
