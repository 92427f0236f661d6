"""The contract of explainers: from an image and a target to a score for every pixel.

The score says how much the pixel mattered to a classifier whose weights never change.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import nan
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource, FrozenClassifier, frozen_networks, targets
from explainers.classifier.inference import evaluating, require_floats
from explainers.errors import InputError, TargetError
from explainers.explanation import Answer, Explanation
from explainers.images.agreement import disagreement
from explainers.images.normalisation import min_max
from explainers.images.reading import ImageLike, to_batch

Batch = dict[str, Any]
"""A batch of `datamodules`: `image` (b 3 h w) in [0, 1], and what else the data set has."""


class Explainer(LightningModule, ABC):
    """Scores the pixels of an image for one target of one frozen classifier.

    A target is one tensor: labels (b) int64, reference embeddings (b d) float, or None for the
    classifier's own prediction. The map of an image depends on nothing but the image, the target
    and the weights: not on its batch mates, on train or eval mode, or on earlier calls.

    Attributes:
        classifier: the model under explanation.
        needs_training: it answers only after a fit, or from a bundle.
        needs: what it needs beside images and a classifier, in words.
        title: the method's name in print.
        papers: where it was published.
        quick_settings: hyperparameters with which it answers within seconds on a CPU, where its
            defaults do not.
        export_obstacle: why it cannot be exported as one graph; None where it can be.
        signed: scores below 0 are negative attribution, which pictures show in another colour.
        label: the method's name in pictures.
        map_meaning: what a map's values measure, likewise.
        reads_target: the map depends on the target; where it does not, any target will do, and
            for a network without classes the image's own embedding stands for it.
        fixed_classes: it has learned maps of its classes, and others need another training.
        first_predicted: the batch that a predict run begins with.
    """

    needs_training: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    title: ClassVar[str] = ""
    papers: ClassVar[tuple[Paper, ...]] = ()
    quick_settings: ClassVar[dict[str, Any]] = {}
    export_obstacle: str | None = "is not one network"
    signed: bool = False
    map_meaning: str = "importance"
    reads_target: bool = True
    fixed_classes: bool = False
    first_predicted: int = 0
    classifier: FrozenClassifier

    def __init__(self, classifier: ClassifierSource) -> None:
        super().__init__()
        self.label = type(self).__name__
        self.classifier = FrozenClassifier.of(classifier)
        # Networks are recorded as their sources: hyperparameters are plain values.
        self.save_hyperparameters(ignore=["classifier", "auxiliary", "head", "_instantiator"])
        self.save_hyperparameters({"classifier": self.classifier.source})

    @abstractmethod
    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the pixels; `forward` without its checks, always called in eval mode."""

    def to_maps(self, scores: Tensor) -> Tensor:
        """Turn scores (b 1 h w) into maps in [0, 1]: by default, each from its own min to max."""
        return min_max(scores)

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        """Score every pixel.

        Args:
            images: (b 3 h w), RGB in [0, 1].
            target: labels (b), references (b d), or None for the predicted classes.

        Returns:
            Scores (b 1 h w), float32, at the images' size.

        Raises:
            InputError: a label is outside the classes, or the target's length is not b.
            TargetError: the method cannot use such a target.
        """
        target = self.resolve_target(images, target)
        with evaluating(self):
            return self.attribute(images, target).float()

    def answer(self, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Target, scores, and probability of the target; raises as `forward`.

        Args:
            images: as for `forward`.
            target: likewise.

        Returns:
            Labels (b) or references (b d), scores (b 1 h w), and the probabilities (b) of
            the labels; NaN for references.
        """
        if target is not None or not self.classifier.num_classes:
            target = self.resolve_target(images, target)
            if target.is_floating_point():
                return target, self(images, target).detach(), images.new_full((len(images),), nan)
        with torch.no_grad():
            logits: Tensor = self.classifier(images)
        target = logits.argmax(dim=1) if target is None else target
        probabilities = self.classifier.decision.probability_of(target, logits)
        return target, self(images, target).detach(), probabilities

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """Check a target, or take the predicted classes (b) for None; raises as `forward`."""
        if target is None and not self.classifier.num_classes and not self.reads_target:
            return self.embed(images)
        if target is None or not target.is_floating_point():
            return targets.labels_of(self.classifier, images, target)
        targets.require_as_many(images, target)
        if not self.reads_target:
            return target
        raise TargetError(
            f"{type(self).__name__} explains class labels (int64), not reference embeddings"
        )

    def explain(
        self,
        images: Tensor | ImageLike | Sequence[ImageLike],
        target: Tensor | Sequence[int | str] | int | str | None = None,
        crop: bool = False,
        uncertainty: bool = False,
    ) -> Explanation:
        """Explain images as they come: each for its target or, without one, for what it shows.

        That is the predicted class; where an image can show several classes (`sigmoid`), each one
        over the threshold is explained, one after the other, and there are more maps than images.

        Args:
            images: a tensor (b 3 h w) or (3 h w) in [0, 1], explained as it is; or a PIL image, a
                path, or a list of these, each shown to the model whole, its map returned at its
                own height and width.
            target: as for `forward`; a class's number or name, or a list of them, will do.
            crop: show files as the classifier is evaluated, cropped; their maps are of the crop.
            uncertainty: tell too how far the maps of mirrored and moved images differ.

        Raises:
            InputError: an image cannot be read, no class has such a name, or as `forward`.
        """
        fraction = self.classifier.crop_fraction if crop else None
        tensors, shown, names = to_batch(images, self.classifier.size, fraction)
        target = targets.as_target(target, len(shown), self.classifier.class_names, self.device)
        require_floats(tensors)
        given = targets.Given(tensors.to(self.device, torch.float32), target, shown, names)
        return self._explained(targets.for_each_shown_class(self.classifier, given), uncertainty)

    def _explained(self, given: targets.Given, uncertainty: bool = False) -> Explanation:
        target, scores, probabilities = self.answer(given.images, given.target)
        uncertainties = None
        if uncertainty:
            uncertainties = disagreement(
                lambda *one: self.to_maps(self(*one)), given.images, target
            )
        signs = (self.signed, self.label, self.map_meaning)
        answer = Answer(self.to_maps(scores), scores, target, probabilities, uncertainties, *signs)
        return Explanation.of(answer, given.originals, given.names, self.classifier.class_names)

    def tell_apart(self, texts: Sequence[str]) -> None:
        """Explain other classes from now on, given as texts, without training.

        Raises:
            InputError: a network has no text tower, the texts are no classes, or the method has
                learned maps of its classes, and knows none of others.
        """
        if self.fixed_classes:
            raise InputError(
                f"{type(self).__name__} has learned maps of its {self.classifier.num_classes} "
                "classes and knows none of other texts; train a conditioned head (PTAMEPlus)"
            )
        for network in frozen_networks(self).values():
            network.tell_apart(texts)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to embeddings (b d) that can be this method's target."""
        return self.classifier.embed(images).flatten(1)

    @torch.no_grad()
    def confidence(self, images: Tensor, labels: Tensor) -> Tensor:
        """Probability (b) that the classifier gives to `labels` (b)."""
        return self.classifier.decision.probability_of(labels, self.classifier(images))

    def objective_curves(self, images: Tensor, target: Tensor | None = None) -> Tensor | None:
        """Objective of each image by step (b steps); None where a method does not optimise maps.

        Arguments and errors as of `forward`.
        """
        return None

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Explain the batch's `target`, or the predicted classes.

        In float32 whatever the precision of the fit. Callbacks score the maps
        (`explainers.callbacks.ScoreLogger`).

        Returns:
            `target` (b) and `scores` (b 1 h w).
        """
        images = batch["image"]
        if not len(images):
            return {"target": images.new_zeros(0, dtype=torch.int64), "scores": images[:, :1]}
        with torch.autocast(self.device.type, enabled=False):
            target, scores, _ = self.answer(images, batch.get("target"))
        return {"target": target, "scores": scores}

    test_step = validation_step

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Explain the batch's `target`, or the likeliest classes.

        Nothing of the batches before `first_predicted`.

        Returns:
            `key`, `target` (b), `probabilities` (b), `captions` and `maps` (b 1 h w) in [0, 1].
        """
        images = batch["image"]
        if not len(images) or batch_idx < self.first_predicted:
            none = images[:0, 0, 0, 0]
            answered = {"target": none.long(), "probabilities": none, "maps": images[:0, :1]}
            return answered | {"key": [], "captions": []}
        tensors, shown, names = to_batch(images, self.classifier.size, None)
        explanation = self._explained(targets.Given(tensors, batch.get("target"), shown, names))
        return {
            "key": batch.get("key") or [f"{batch_idx:06d}-{name}" for name in explanation.names],
            "target": explanation.target,
            "probabilities": explanation.probabilities,
            "captions": explanation.captions,
            "maps": explanation.maps,
        }

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each frozen network's weights, by where it is in this module."""
        return {name: network.fingerprint() for name, network in frozen_networks(self).items()}
