"""The base class of learned explainers: training loop, weights, and inference in one pass."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers.base import Batch, Explainer
from explainers.classifier import ClassifierSource
from explainers.classifier.inference import evaluating
from explainers.classifier.seeding import seeded
from explainers.errors import InputError, require_number
from explainers.training import trained_weights
from explainers.training.class_draw import drawn_classes
from explainers.training.distributed import means, of_all, step_seed
from explainers.training.map_collapse import MapCollapse
from explainers.training.mask_collapse import CollapseDetector, mask_statistics
from explainers.training.masking_network import MaskingNetwork, Readings, Terms
from explainers.training.optimisers import adamw, one_cycle

logger = logging.getLogger(__name__)


class LearnedExplainer(Explainer):
    """Trains one network to explain one frozen classifier.

    A subclass sets `network` and says in `losses` what makes a mask good. Checkpoints hold only
    trained weights, and the SHA-256 of the frozen networks that they were trained with.

    Attributes:
        network: the network that is trained.
        draws_masks: it answers with masks in [0, 1], which may collapse; else with signed scores.
        collapse_advice: what else to do about collapsed maps than train longer or otherwise.
        earlier_settings: what weights from before a hyperparameter came were trained with.
        feature_cache: stored answers of the frozen networks; asks `read` for others. May be None.
    """

    needs_training = True
    needs = "training"
    fixed_classes = True
    export_obstacle = None
    draws_masks: ClassVar[bool] = True
    collapse_advice: ClassVar[str] = ""
    earlier_settings: ClassVar[dict[str, Any]] = {}
    network: MaskingNetwork

    def __init__(self, classifier: ClassifierSource, lr: float, weight_decay: float) -> None:
        require_number("lr", lr, above=0)
        require_number("weight_decay", weight_decay, least=0)
        super().__init__(classifier)
        self.lr = lr
        self.weight_decay = weight_decay
        self.feature_cache: Callable[[Tensor, Callable[[Tensor], Readings]], Readings] | None = None
        self._collapse = CollapseDetector()
        self._fingerprints: dict[str, str] = {}
        self._frozen: list[str] = []

    @abstractmethod
    def losses(self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor) -> Terms:
        """Return the weighted terms of the objective, each a scalar; training minimises the sum.

        Args:
            images: (b 3 h w) in [0, 1].
            labels: the classes (b) that are trained for, of those that the images show.
            masks: (b n _ _) of every image for its `target_classes`, as the network draws them.
            logits: of the classifier on the whole images (b classes).
        """

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Answer with normalised masks, in one pass."""
        return self._scores(images, target, self.network.read(images))

    def answer(self, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Target, scores and probability as `Explainer.answer`, in one pass for own features."""
        with evaluating(self), torch.no_grad():
            logits, features = self.read(images)
            predicted = target is None and self.classifier.num_classes
            known = logits.argmax(dim=1) if predicted else self.resolve_target(images, target)
            scores = self._scores(images, known, features).float()
        return known, scores, self.classifier.decision.probability_of(known, logits)

    def _scores(self, images: Tensor, target: Tensor, features: list[Tensor]) -> Tensor:
        """Scores (b 1 h w) from features as `read` gives them."""
        return self.postprocess(images, target, self.network.masks(features, target, images))

    def postprocess(self, images: Tensor, target: Tensor, masks: Tensor) -> Tensor:
        """Turn what the network draws (b 1 h w) into scores: by default, as they are."""
        return masks

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already: the network normalises them. Other scores are stretched."""
        return scores if self.draws_masks else super().to_maps(scores)

    @torch.no_grad()
    def read(self, images: Tensor) -> Readings:
        """The classifier's logits (b classes), and the features that the network draws from."""
        own = self.network.backbone is self.classifier
        return self.network.read_with_logits(images, None if own else self.classifier)

    def configure_callbacks(self) -> list[Callback]:
        """Detection of collapsed maps, in any trainer."""
        return MapCollapse.unless_in(self._trainer) if self.draws_masks else []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the sum of the losses, each image for one of the classes that it shows."""
        images = batch["image"]
        cache = self.feature_cache
        readings = cache(images, self.read) if cache else self.read(images)
        labels, classes, masks, losses = self.masked(images, readings)
        total = torch.stack(list(losses.values())).sum()
        self._log_training(labels, classes, masks.detach(), losses | {"loss": total})
        return total

    def masked(self, images: Tensor, readings: Readings) -> tuple[Tensor, Tensor, Tensor, Terms]:
        """Labels (b), classes and masks that a step draws for images (b 3 h w), and the losses."""
        logits, features = readings
        labels = drawn_classes(self.classifier.decision, logits, self.global_step)
        classes = self.step_classes(labels, logits)
        with seeded(step_seed(self.global_step)):  # dropout, of resumed fits too
            masks = self.network.draw(features, classes)
        return labels, classes, masks, self.losses(images, labels, masks, logits)

    def target_classes(self, labels: Tensor) -> Tensor:
        """Classes, (b n) or (1 n), for which the objective looks at images of classes `labels` (b).

        By default those of the batches of all processes, which so train as one would.
        """
        return of_all(labels)[None]

    def step_classes(self, labels: Tensor, logits: Tensor) -> Tensor:
        """`target_classes`, or others by what the logits (b classes) of the images say."""
        return self.target_classes(labels)

    def _log_training(
        self, labels: Tensor, classes: Tensor, masks: Tensor, losses: dict[str, Tensor]
    ) -> None:
        state = mask_statistics(masks, labels, classes) if self.draws_masks else {}
        values = means({name: value.detach() for name, value in losses.items()} | state)
        known = {name: values[name] for name in state if not values[name].isnan()}
        for message in self._collapse.update(known) if known else ():
            rank_zero_only(logger.warning)(message)
        values = {name: values[name] for name in values if name in losses or name in known}
        self.log_dict({f"train/{k}": v for k, v in values.items()}, batch_size=len(labels))
        self.log_dict({k: values[k] for k in losses}, prog_bar=True, logger=False)
        self.log("train/lr", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]

    def build_optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as published for P-TAME, on what is trainable."""
        return adamw(self.named_parameters(), self.lr, self.weight_decay)

    def build_schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """One cycle over the steps of the fit, as Lightning takes a schedule."""
        schedule = one_cycle(optimizer, self.trainer.estimated_stepping_batches)
        return {"scheduler": schedule, "interval": "step"}

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's own union of types
        """The optimiser and its schedule."""
        optimizer = self.build_optimizer()
        return {"optimizer": optimizer, "lr_scheduler": self.build_schedule(optimizer)}

    def start_from(self, bundle: str | None, freeze_taken: bool) -> None:
        """Initialise from a bundle by name and shape, once `network` is set; log what does not fit.

        Args:
            bundle: a folder or `hf-hub:org/name`; None to start afresh.
            freeze_taken: whether the weights that are taken stay as they are.

        Raises:
            InputError: there is no such bundle, nothing of it fits, or nothing is left to train.
        """
        if bundle is None:
            if freeze_taken:
                raise InputError("freeze_taken freezes what init_from takes; name a bundle there")
            return
        mine = self.trained_state()
        taken, report = trained_weights.fitting(mine, bundle, self.fixed_classes)
        self.load_state_dict(mine | taken)
        rank_zero_only(logger.warning)(report)
        if freeze_taken:
            self._freeze(list(taken))
            if not any(weight.requires_grad for weight in self.parameters()):
                raise InputError(f"all weights fit {bundle}: with freeze_taken, none is trained")

    def _freeze(self, names: list[str]) -> None:
        self._frozen = names
        trained_weights.freeze(self, names)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but what is frozen."""
        super().train(mode)
        trained_weights.hold(self, self._frozen)
        return self

    def trained_state(self) -> dict[str, Tensor]:
        """The weights and buffers that training sets: all but the frozen networks'."""
        return trained_weights.trained_state(self)

    def load_trained_state(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        """Take trained weights, if they fit and were trained for these frozen networks.

        Args:
            state: what `trained_state` returned.
            fingerprints: what `fingerprints` returned beside it; empty skips this check.

        Raises:
            InputError: weights do not fit, or were trained with other frozen networks.
        """
        trained_weights.require_loadable(self, state, fingerprints)
        self.load_state_dict(state)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401  torch's private tuple of missing and unexpected names
        """Load weights; of those that are missing, the frozen networks' do not count."""
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        missing = trained_weights.missing_weights(self, result.missing_keys)
        if strict and (missing or result.unexpected_keys):
            raise RuntimeError(f"missing weights {missing}, unknown {result.unexpected_keys}")
        return type(result)(missing, result.unexpected_keys)

    def on_fit_start(self) -> None:
        """Remember what must not change."""
        self._fingerprints = self.fingerprints()

    def on_fit_end(self) -> None:
        """Raise RuntimeError if a frozen network is not what it was."""
        trained_weights.require_unchanged(self._fingerprints, self.fingerprints())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen networks out, record their fingerprints, and forget where it started."""
        checkpoint["state_dict"] = self.trained_state()
        checkpoint["fingerprints"] = self._fingerprints or self.fingerprints()
        checkpoint["class"] = type(self).__name__
        checkpoint["kept"] = self._frozen
        settings = checkpoint.get("hyper_parameters", {})
        settings |= {k: v for k, v in trained_weights.STARTING_POINT.items() if k in settings}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit, and set the settings that it is too old to name."""
        fingerprints = checkpoint.get("fingerprints", {})
        trained_weights.require_loadable(self, checkpoint["state_dict"], fingerprints)
        for name in self.earlier_settings.keys() - checkpoint.get("hyper_parameters", {}).keys():
            value = self.hparams[name] = self.earlier_settings[name]
            setattr(self.network, name, value)
        self._freeze(checkpoint.get("kept", []))
