"""Distillation: a student that answers in one pass what any other explainer answers.

Stochastic amortisation, Covert et al., NeurIPS 2024 (https://arxiv.org/abs/2401.15866).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from explainers.base import Batch
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.seeding import seeded
from explainers.errors import MOST_COUNTED, require_known, require_number, require_whole
from explainers.heads.conditioned_head import resize
from explainers.heads.conditioned_network import backbone_for, chosen_stages, conditioned_network
from explainers.images.normalisation import min_max
from explainers.training.distributed import step_seed
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.mosaics import mosaics
from explainers.training.teacher import build_teacher, teacher_description
from explainers.training.teacher_maps import NORMALISATIONS, TeacherMaps, likeliest, normalised

logger = logging.getLogger(__name__)

TEACHER = {"class_path": "explainers.OptiCAM", "init_args": {}}
"""Opti-CAM with the steps of its authors' code."""


class Distilled(LearnedExplainer):
    """Learns to answer in one pass what a teacher, any other explainer, answers.

    The objective is the mean over pixels of (student - teacher)^2. The teacher is asked once for an
    image and a class: its maps, and the classes, are kept in a folder under the image's pixels, and
    a fit that is stopped goes on without asking again. Random crops and mosaics are other images
    each time, and each costs the teacher's passes: let crops come back (`crops` of
    `ShardsDataModule`), or train on a fixed data set. Images that are known enter the classifier
    for the head's features alone, and not at all where those are an auxiliary's or in a
    `FeatureCache`.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        teacher: `class_path` and `init_args` of an explainer of `explainers` or
            `explainers.baselines`, by default Opti-CAM. It is built around the same classifier
            when training starts; a bundle explains without it.
        teacher_maps: the folder of its maps, which other teachers may share; by default
            `teacher_maps` in the trainer's root folder.
        teacher_maps_limit: of that folder, in GiB; maps beyond it are computed each time.
        teacher_size: of a kept map's longer side in pixels, at most.
        teacher_normalisation: a key of `teacher_maps.NORMALISATIONS`. `minmax` suits teachers whose
            scores are not negative, and the student draws masks in [0, 1]. For signed ones, `rms`
            keeps the sign and weighs all images alike, and `answered` keeps the units too: only
            then does a noisy but unbiased teacher leave the student unbiased. With both, the
            student draws unbounded scores, which maps stretch from minimum to maximum.
        classes_per_image: how many of the likeliest classes an image is explained for.
        compositions: how many 2x2 mosaics of the batch's images are added to each batch, drawn
            anew in each step; their classes are those of their cells.
        auxiliary: as of `PTAMEPlus`.
        stages: likewise.
        hidden: likewise.
        decoder_width: likewise; it draws finer maps than weighted sums of features.
        lr: peak learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        init_from: a bundle (folder or `hf-hub:org/name`) to take the weights from that fit by
            name and shape.
        freeze_taken: leave these as they are.

    Raises:
        InputError: the teacher is not described as a class with its arguments, a number is out of
            its range, or the auxiliary has other classes than the classifier.
    """

    needs = "training, a teacher"
    title = "Distillation of an explainer"
    papers = (
        Paper(
            "covert2024stochastic",
            "Stochastic Amortization: A Unified Approach to Accelerate Feature and Data "
            "Attribution",
            "Covert, Ian and Kim, Chanwoo and Lee, Su-In and Zou, James and Hashimoto, Tatsunori",
            "2401.15866",
        ),
    )
    fixed_classes = False
    costly_objective = True  # each image asks the teacher
    draws_masks = False  # its maps are as large as the teacher's: none of them has collapsed

    def __init__(
        self,
        classifier: ClassifierSource,
        teacher: dict[str, Any] | None = None,
        teacher_maps: str | None = None,
        teacher_maps_limit: float = 50.0,
        teacher_size: int = 56,
        teacher_normalisation: str = "minmax",
        classes_per_image: int = 1,
        compositions: int = 0,
        auxiliary: ClassifierSource | None = None,
        stages: Sequence[int] | None = (-1,),
        hidden: int = 256,
        decoder_width: int = 0,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        init_from: str | None = None,
        freeze_taken: bool = False,
    ) -> None:
        super().__init__(classifier, lr, weight_decay)
        self.teacher = teacher_description(TEACHER if teacher is None else teacher)
        self.save_hyperparameters({"teacher": self.teacher})
        backbone = backbone_for(self.classifier, auxiliary)
        self.save_hyperparameters({"auxiliary": None if auxiliary is None else backbone.source})
        require_number("teacher_maps_limit", teacher_maps_limit, above=0)
        require_whole("teacher_size", teacher_size, 1, MOST_COUNTED)
        require_known("teacher_normalisation", teacher_normalisation, NORMALISATIONS)
        require_whole("compositions", compositions, 0, MOST_COUNTED)
        chosen = chosen_stages(backbone, stages)
        bounded = teacher_normalisation == "minmax"
        self.network = conditioned_network(backbone, chosen, hidden, decoder_width, bounded=bounded)
        require_whole("classes_per_image", classes_per_image, 1, self.classifier.num_classes)
        self.signed = not bounded
        self.teacher_maps = teacher_maps
        self.teacher_maps_limit = teacher_maps_limit
        self.teacher_size = teacher_size
        self.teacher_normalisation = teacher_normalisation
        self.classes_per_image = classes_per_image
        self.compositions = compositions
        self.teacher_answers: TeacherMaps | None = None
        self.start_from(init_from, freeze_taken)

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already; scores of either sign are stretched."""
        return min_max(scores) if self.signed else scores

    def ask_teacher(self, folder: Path | None = None, processes: int = 1) -> TeacherMaps:
        """The teacher and what it has answered before.

        Args:
            folder: where its maps are kept; None keeps none.
            processes: how many write to it.

        Raises:
            InputError: the teacher cannot be built; see `build_teacher`.
        """
        teacher = build_teacher(self.teacher, self.classifier).to(self.device, self.dtype)
        if teacher.signed and not self.signed and not self.global_rank:
            logger.warning(
                f"{type(teacher).__name__} answers with signed scores, and teacher_normalisation "
                "minmax forgets the sign; rms and answered keep it"
            )
        if folder is None:
            return TeacherMaps(teacher, self.teacher_size)
        limit = self.teacher_maps_limit
        return TeacherMaps.in_folder(teacher, self.teacher_size, folder, limit, processes)

    def on_fit_start(self) -> None:
        """Build the teacher, and find what it has answered before."""
        super().on_fit_start()
        folder = self.teacher_maps or Path(self.trainer.default_root_dir, "teacher_maps")
        self.teacher_answers = self.ask_teacher(Path(folder), self.trainer.world_size)

    def on_fit_end(self) -> None:
        """Let the teacher go."""
        self.teacher_answers = None
        super().on_fit_end()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the distance from the teacher on the batch's images and on mosaics of them."""
        assert self.teacher_answers is not None  # from the start of a fit on
        images = batch["image"]
        logits, features = self._readings(images)
        count = self.classes_per_image
        if logits is None:
            classes = self.teacher_answers.classes(images, count, self.classifier)
        else:
            classes = likeliest(logits, count)
        if self.compositions:
            composed, of_cells = mosaics(images, classes, self.compositions, self.global_step)
            added = self.network.read(composed)  # past the cache, as they do not come back
            features = [torch.cat(pair) for pair in zip(features, added, strict=True)]
            images, classes = torch.cat([images, composed]), torch.cat([classes, of_cells])
        # Dropout is that of the step, also in a fit that is resumed.
        with seeded(step_seed(self.global_step)):
            drawn = self.network.draw(features, classes)
        losses = {"distance": self.distance(images, classes, drawn)}
        self._log_training(classes, classes, drawn.detach(), losses | {"loss": losses["distance"]})
        return losses["distance"]

    @torch.no_grad()
    def _readings(self, images: Tensor) -> tuple[Tensor | None, list[Tensor]]:
        """Features that the head draws from, and logits where they come with these."""
        if self.feature_cache:
            return self.feature_cache(images, self.read)
        if self.network.backbone is self.classifier:
            return self.read(images)
        return None, self.network.read(images)

    def target_classes(self, labels: Tensor) -> Tensor:
        """Each image's own class (b 1)."""
        return labels[:, None]

    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The distance from the teacher's maps for the labels."""
        return {"distance": self.distance(images, self.target_classes(labels), masks)}

    def distance(self, images: Tensor, classes: Tensor, drawn: Tensor) -> Tensor:
        """Mean squared difference from the teacher's maps, at their size.

        Args:
            images: (b 3 h w) in [0, 1].
            classes: (b n).
            drawn: what the network draws for them (b n _ _).
        """
        if self.teacher_answers is None:  # outside of a fit, nothing is kept
            self.teacher_answers = self.ask_teacher()
        maps = normalised(self.teacher_answers.maps(images, classes), self.teacher_normalisation)
        return (resize(drawn, maps.shape[-2:]) - maps).square().mean()

    def on_train_epoch_end(self) -> None:
        """Log the share of the teacher's maps that were found."""
        assert self.teacher_answers is not None
        share = self.teacher_answers.found / max(self.teacher_answers.asked, 1)
        self.teacher_answers.found = self.teacher_answers.asked = 0
        self.log("train/teacher_maps_found", share, sync_dist=True)
