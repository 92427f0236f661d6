"""The contract that every explainer fulfils, and the half of it that trains.

An explainer looks at an image and a target, and answers with a score for every pixel: how much it
mattered to a classifier whose weights never change.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from PIL import Image
from torch import Tensor, nn

from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.errors import InputError, TargetError
from explainers.explanation import Explanation
from explainers.images import ImageSource, open_image, to_tensor
from explainers.scores import write_records
from explainers.scoring import Case, Scoreboard, min_max
from explainers.trivial import ROWS

Batch = dict[str, Any]
CONFIDENCE_METRICS = ("average_drop", "average_increase", "average_gain")


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
        self.save_hyperparameters(ignore=["classifier", "auxiliary"])
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
    ) -> Explanation:
        """Explain images as they come.

        Args:
            images: a tensor (b 3 h w) or (3 h w) in [0, 1], explained as it is; or a PIL image, a
                path, or a list of these, each shown to the model whole, its map returned at its
                own height and width.
            target: as for `forward`; a number or a list of them will do.
            crop: show files as the classifier is evaluated, cropped; their maps are of the crop.

        Raises:
            InputError: an image cannot be read, or as `forward`.
        """
        if isinstance(images, Tensor):
            tensors = images[None] if images.ndim == 3 else images
            shown = list(tensors.detach().float().cpu())
            names = [f"image-{index:03d}" for index in range(len(shown))]
        else:
            sources = [images] if isinstance(images, str | Path | Image.Image) else list(images)
            files = [open_image(source) for source in sources]
            fraction = self.classifier.crop_fraction if crop else None
            tensors = torch.stack(
                [to_tensor(file, self.classifier.size, fraction) for file in files]
            )
            shown = (
                list(tensors)
                if crop
                else [to_tensor(file, (file.height, file.width), None) for file in files]
            )
            names = distinct_names(sources)
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
            map_list=_at_sizes_of(shown, self.to_maps(scores)),
            score_list=_at_sizes_of(shown, scores),
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
            signed=self.signed,
        )

    @torch.no_grad()
    def confidence(self, images: Tensor, labels: Tensor) -> Tensor:
        """Softmax probability (b) that the classifier gives to `labels` (b)."""
        logits: Tensor = self.classifier(images)
        return logits.float().softmax(dim=1).gather(1, labels[:, None]).squeeze(1)

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

    def on_test_epoch_end(self) -> None:
        """Gather the records of all processes, write them to records.csv, and log the figures."""
        if torch.distributed.is_initialized():
            parts: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, self.records)
            self.records = [record for part in parts for record in part]
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


def frozen_networks(module: nn.Module) -> dict[str, FrozenClassifier]:
    """The frozen networks inside a module, by where they are."""
    return {
        name: part for name, part in module.named_modules() if isinstance(part, FrozenClassifier)
    }


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


def _at_sizes_of(images: Sequence[Tensor], maps: Tensor) -> list[Tensor]:
    """Bring each of the maps (b 1 h w) to its image's own height and width (1 _ _)."""
    maps = maps.cpu()
    return [
        one
        if one.shape[-2:] == image.shape[-2:]
        else F.interpolate(one[None], image.shape[-2:], mode="bilinear", antialias=True)[0]
        for one, image in zip(maps, images, strict=True)
    ]


def distinct_names(sources: Sequence[ImageSource]) -> list[str]:
    """A file name an image: the path's stem, numbered where that is missing or taken."""
    names: list[str] = []
    for index, source in enumerate(sources):
        name = Path(source).stem if isinstance(source, str | Path) else f"image-{index:03d}"
        names.append(f"{name}-{index:03d}" if name in names else name)
    return names
