"""The contract that every explainer fulfils, and how each is scored.

An explainer looks at an image and a target, and answers with a score for every pixel: how much it
mattered to a classifier whose weights never change.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from explainers.agreement import disagreement
from explainers.classifier import ClassifierSource, FrozenClassifier, frozen_networks
from explainers.errors import InputError, TargetError
from explainers.explanation import Explanation
from explainers.images import ImageSource, at_sizes_of, to_batch
from explainers.scores import gathered, write_records
from explainers.scoring import Case, Scoreboard, min_max
from explainers.trivial import ROWS

Batch = dict[str, Any]
CONFIDENCE_METRICS = ("average_drop", "average_increase", "average_gain")


def _in_full_precision(
    step: Callable[["Explainer", Batch, int], None],
) -> Callable[["Explainer", Batch, int], None]:
    """Switch a fit's mixed precision off for a step: under bf16 scores have three digits."""

    @wraps(step)
    def full(self: "Explainer", batch: Batch, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):
            step(self, batch, batch_idx)

    return full


class Explainer(LightningModule, ABC):
    """Scores the pixels of an image for one target of one frozen classifier.

    A target is one tensor: labels (b) int64, reference embeddings (b d) float, or None for the
    classifier's own prediction. The map of an image depends on nothing but the image, the target
    and the weights: not on its batch mates, on train or eval mode, or on earlier calls.

    Attributes:
        classifier: the model under explanation.
        signed: scores below 0 are counter-evidence, which pictures show in a colour of its own.
    """

    signed: bool = False
    classifier: FrozenClassifier

    def __init__(self, classifier: ClassifierSource) -> None:
        super().__init__()
        self.classifier = FrozenClassifier.of(classifier)
        # Networks are recorded as their sources: hyperparameters are plain values.
        self.save_hyperparameters(ignore=["classifier", "auxiliary", "head"])
        self.save_hyperparameters({"classifier": self.classifier.source})
        self.val_scores = Scoreboard(CONFIDENCE_METRICS)
        self.choose_metrics(CONFIDENCE_METRICS)

    def choose_metrics(self, names: Sequence[str], chunk_size: int = 64) -> None:
        """Choose what a test reports, for this explainer and for the trivial maps beside it.

        Args:
            names: keys of `metrics.CHOICES`.
            chunk_size: images in the classifier at once.

        Raises:
            InputError: a name is unknown.
        """
        self.test_scores = nn.ModuleDict(
            {"explainer": Scoreboard(names, chunk_size)}
            | {row: Scoreboard(names, chunk_size, constant_maps=True) for row in ROWS}
        )
        self.records: list[dict[str, Any]] = []

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
        with _evaluating(self):
            return self.attribute(images, target).float()

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """Check a target, or take the predicted classes (b) for None; raises as `forward`."""
        if target is None:
            with torch.no_grad():
                logits: Tensor = self.classifier(images)
            return logits.argmax(dim=1)
        if len(target) != len(images):
            raise InputError(f"{len(images)} images need as many targets, got {len(target)}")
        if target.is_floating_point():
            raise TargetError(
                f"{type(self).__name__} explains class labels (int64), not reference embeddings"
            )
        classes = self.classifier.num_classes
        outside = target[(target < 0) | (target >= classes)]
        if len(outside):
            raise InputError(
                f"target {int(outside[0])} is outside the classes of {self.classifier.name}; "
                f"choose 0 to {classes - 1}"
            )
        return target

    def explain(
        self,
        images: Tensor | ImageSource | Sequence[ImageSource],
        target: Tensor | Sequence[int] | int | None = None,
        crop: bool = False,
        uncertainty: bool = False,
    ) -> Explanation:
        """Explain images as they come.

        Args:
            images: a tensor (b 3 h w) or (3 h w) in [0, 1], explained as it is; or a PIL image, a
                path, or a list of these, each shown to the model whole, its map returned at its
                own height and width.
            target: as for `forward`; a number or a list of them will do.
            crop: show files as the classifier is evaluated, cropped; their maps are of the crop.
            uncertainty: tell too how far the maps of mirrored and moved images differ.

        Raises:
            InputError: an image cannot be read, or as `forward`.
        """
        fraction = self.classifier.crop_fraction if crop else None
        tensors, shown, names = to_batch(images, self.classifier.size, fraction)
        if isinstance(target, int):
            target = [target] * len(shown)
        if target is not None:
            target = torch.as_tensor(target).to(self.device)
        tensors = tensors.to(self.device, torch.float32)
        target = self.resolve_target(tensors, target)
        scores = self(tensors, target).detach()
        labelled = not target.is_floating_point()
        return Explanation(
            images=shown,
            map_list=at_sizes_of(shown, self.to_maps(scores)),
            score_list=at_sizes_of(shown, scores),
            target=target.cpu(),
            probabilities=(
                self.confidence(tensors, target).cpu()
                if labelled
                else torch.full((len(shown),), torch.nan)
            ),
            captions=[
                self.classifier.class_names[int(label)] if labelled else "reference"
                for label in target
            ],
            names=names,
            uncertainty_list=self._uncertainty_of(shown, tensors, target) if uncertainty else None,
            signed=self.signed,
        )

    def _uncertainty_of(
        self, shown: Sequence[Tensor], tensors: Tensor, target: Tensor
    ) -> list[Tensor]:
        def answer(images: Tensor, target: Tensor) -> Tensor:
            return self.to_maps(self(images, target))

        return at_sizes_of(shown, disagreement(answer, tensors, target))

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to embeddings (b d) that can be this method's target."""
        return self.classifier.embed(images).flatten(1)

    @torch.no_grad()
    def confidence(self, images: Tensor, labels: Tensor) -> Tensor:
        """Softmax probability (b) that the classifier gives to `labels` (b)."""
        logits: Tensor = self.classifier(images)
        return logits.float().softmax(dim=1).gather(1, labels[:, None]).squeeze(1)

    @_in_full_precision
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the maps of the predicted classes."""
        images = batch["image"]
        if len(images):
            labels = self.resolve_target(images, None)
            self.val_scores.update(self._case(batch, labels, self(images, labels), self.to_maps))

    def on_validation_epoch_end(self) -> None:
        """Log what all processes have scored together."""
        self._log_scores("val", self.val_scores)

    def on_test_epoch_start(self) -> None:
        """Forget the records of an earlier test."""
        self.records = []

    @_in_full_precision
    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the maps of the predicted classes, and beside them the trivial ones."""
        images = batch["image"]
        if not len(images):
            return
        labels = self.resolve_target(images, None)
        cases = {"explainer": self._case(batch, labels, self(images, labels), self.to_maps)}
        for row, trivial in ROWS.items():
            cases[row] = self._case(batch, labels, trivial(images), lambda maps: maps)
        for row, case in cases.items():
            board = self.test_scores[row]
            assert isinstance(board, Scoreboard)  # for the type checker
            values = board.update(case)
            for index, key in enumerate(batch.get("key") or [""] * len(labels)):
                record = {"key": key, "explainer": row, "target": int(labels[index])}
                scores = {name: float(value[index]) for name, value in values.items()}
                self.records.append(record | scores)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Explain the predicted classes; write a picture and arrays an image to `maps`.

        Returns:
            `key`, `target` (b) and `maps` (b 1 h w) in [0, 1].
        """
        images = batch["image"]
        if not len(images):
            return {"key": [], "target": images.new_zeros(0).long(), "maps": images[:, :1]}
        explanation = self.explain(images)
        names = batch.get("key") or [f"{batch_idx:06d}-{name}" for name in explanation.names]
        explanation = replace(explanation, names=names)
        explanation.save(Path(self.trainer.log_dir or self.trainer.default_root_dir) / "maps")
        return {"key": names, "target": explanation.target, "maps": explanation.maps}

    def on_test_epoch_end(self) -> None:
        """Gather the records of all processes, write them to records.csv, and log the figures."""
        self.records = gathered(self.records)
        folder = Path(self.trainer.log_dir or self.trainer.default_root_dir)  # asks all processes
        if self.trainer.is_global_zero:
            write_records(self.records, folder / "records.csv")
        for row, board in self.test_scores.items():
            assert isinstance(board, Scoreboard)  # for the type checker
            self._log_scores(f"test/{row}", board)

    def _log_scores(self, prefix: str, board: Scoreboard) -> None:
        """Compute together, on every process, also on one that has had no image."""
        values = board.compute()
        self.log_dict({f"{prefix}/{name}": v for name, v in values.items()}, sync_dist=True)
        for metric in board.values():
            metric.reset()

    def _case(
        self, batch: Batch, labels: Tensor, scores: Tensor, to_maps: Callable[[Tensor], Tensor]
    ) -> Case:
        return Case(
            images=batch["image"],
            labels=labels,
            scores=scores.detach(),
            maps=to_maps(scores.detach()),
            classifier=self.classifier,
            explain=self,
            mask=batch.get("mask"),
            box=batch.get("box"),
        )

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each frozen network's weights, by where it is in this module."""
        return {name: network.fingerprint() for name, network in frozen_networks(self).items()}


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put all of a module in eval mode, and every part back into its own afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
