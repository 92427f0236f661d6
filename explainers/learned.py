"""The half of the contract that trains: what all learned explainers share.

Their objective looks, for every image of a batch, at the masks of its own class and of others,
which it does not show.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers import finetuning
from explainers.alarms import CollapseAlarms, constant_share
from explainers.base import Explainer, evaluating, probability_of
from explainers.bundle_reader import bundle_folder
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.errors import InputError
from explainers.losses import mean_areas
from explainers.masking_network import MaskingNetwork, Readings, enlarge
from explainers.processes import means, of_all
from explainers.schedule import one_cycle
from explainers.scored import Batch
from explainers.weights import read_state

logger = logging.getLogger(__name__)


class LearnedExplainer(Explainer):
    """Trains one network to explain one frozen classifier.

    A subclass sets `network` and says in `losses` what makes a mask good. Checkpoints hold the
    trained weights only, and the fingerprints of the frozen networks that they were trained with.

    Attributes:
        network: what is trained.
        cycle_momentum: as `schedule.one_cycle` takes it.
        recall: what training asks in place of `read`, and gives it to for images not seen yet.
    """

    network: MaskingNetwork
    cycle_momentum = True

    def __init__(self, classifier: ClassifierSource, lr: float, weight_decay: float) -> None:
        super().__init__(classifier)
        self.lr = lr
        self.weight_decay = weight_decay
        self._fingerprints: dict[str, str] = {}
        self._kept: list[str] = []
        self._alarms = CollapseAlarms()
        self.recall: Callable[[Tensor, Callable[[Tensor], Readings]], Readings] | None = None

    def start_from(self, bundle: str | None, freeze_taken: bool) -> None:
        """Take from a bundle what fits by name and shape, and say what does not.

        A subclass calls it when its network is there.

        Args:
            bundle: a folder or `hf-hub:org/name`; None to start afresh.
            freeze_taken: whether what is taken stays as it is.

        Raises:
            InputError: there is no such bundle, nothing of it fits, or nothing is left to train.
        """
        if bundle is None:
            if freeze_taken:
                raise InputError("freeze_taken freezes what init_from takes; name a bundle there")
            return
        given = read_state(bundle_folder(bundle) / "model.safetensors")
        taken, report = finetuning.fitting(self.trained_state(), given, bundle)
        self.load_state_dict(self.trained_state() | taken)
        rank_zero_only(logger.warning)(report)
        if freeze_taken:
            self._keep(taken)
            if not any(weight.requires_grad for weight in self.parameters()):
                raise InputError(f"all weights fit {bundle}: with freeze_taken, none is trained")

    def _keep(self, names: Iterable[str]) -> None:
        self._kept = list(names)
        finetuning.freeze(self, self._kept)
        finetuning.hold(self, self._kept)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but what is frozen."""
        super().train(mode)
        finetuning.hold(self, self._kept)
        return self

    @abstractmethod
    def losses(
        self, images: Tensor, labels: Tensor, masks: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted terms of the objective, each a scalar; training minimises the sum.

        Args:
            images: (b 3 h w) in [0, 1].
            labels: the predicted classes (b).
            masks: (b n _ _) in [0, 1], of every image for the classes that `asked` names; by
                default all in `labels`, here and in other processes.
            logits: what the classifier says of the whole images (b classes).
        """

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Answer with the masks that training shapes, in one pass."""
        return self.finish(images, target, self.network(images, target))

    def finish(self, images: Tensor, target: Tensor, masks: Tensor) -> Tensor:
        """Turn the network's masks (b 1 h w) into scores, the way `answer` goes too: as they are."""
        return masks

    def answer(self, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """As of every explainer, in one pass where the classifier reads its own features."""
        with evaluating(self), torch.no_grad():
            logits, features = self.read(images)
            known = logits.argmax(dim=1) if target is None else self.resolve_target(images, target)
            masks = enlarge(self.network.draw(features, known), images)
            scores = self.finish(images, known, masks).float()
        return known, scores, probability_of(known, logits)

    @torch.no_grad()
    def read(self, images: Tensor) -> Readings:
        """The classifier's logits (b classes), and the features that the network draws from."""
        if self.network.backbone is self.classifier:
            return self.network.read_with_logits(images)
        return self.classifier(images), self.network.read(images)

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already: training and inference mean the same by a value."""
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the sum of the losses on the classes that the classifier predicts."""
        images = batch["image"]
        logits, features = self.recall(images, self.read) if self.recall else self.read(images)
        labels = logits.argmax(dim=1)
        asked = self.asked(labels)
        masks = self.network.draw(features, asked)
        losses = self.losses(images, labels, masks, logits)
        total = torch.stack(list(losses.values())).sum()
        self._log_training(labels, asked, masks.detach(), losses | {"loss": total})
        return total

    def asked(self, labels: Tensor) -> Tensor:
        """For which classes, (b n) or (1 n), the objective looks at images of classes `labels` (b).

        By default those of the batches of all processes, so that N of them with b images each
        train as one with N b does.
        """
        return of_all(labels)[None]

    def _log_training(
        self, labels: Tensor, asked: Tensor, masks: Tensor, losses: dict[str, Tensor]
    ) -> None:
        on_target, off_target = mean_areas(masks, labels, asked)
        own = masks[(asked == labels[:, None]).expand(masks.shape[:2])]  # (_ h w)
        state = {"target_area": on_target, "constant_share": constant_share(own)}
        state["off_target_area"] = off_target
        values = means({name: value.detach() for name, value in losses.items()} | state)
        known = {name: values[name] for name in state if not values[name].isnan()}
        for message in self._alarms.update(known):
            rank_zero_only(logger.warning)(message)
        values = {name: values[name] for name in values if name in losses or name in known}
        self.log_dict({f"train/{k}": v for k, v in values.items()}, batch_size=len(labels))
        self.log("loss", values["loss"], prog_bar=True, logger=False)
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        self.log("train/lr", rate)

    def build_optimizer(self) -> torch.optim.Optimizer:
        """AdamW with AMSGrad, as published for P-TAME, on what is trainable."""
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        return torch.optim.AdamW(
            weights, lr=self.lr, betas=(0.95, 0.999), weight_decay=self.weight_decay, amsgrad=True
        )

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's own union of types
        """The optimiser on the one-cycle schedule of all papers of the TAME family."""
        optimizer = self.build_optimizer()
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = one_cycle(optimizer, self.lr, steps, self.cycle_momentum)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_fit_start(self) -> None:
        """Remember what must not change."""
        self._fingerprints = self.fingerprints()

    def on_fit_end(self) -> None:
        """Raise RuntimeError if a frozen network is not what it was."""
        now = self.fingerprints()
        for name, before in self._fingerprints.items():
            if now[name] != before:
                raise RuntimeError(f"the weights of {name} changed during the fit; it is frozen")

    def trained_state(self) -> dict[str, Tensor]:
        """The weights and buffers that training sets: everything but the frozen networks."""
        frozen = self._frozen_prefixes()
        return {k: v for k, v in self.state_dict().items() if not k.startswith(frozen)}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401  torch's private tuple of missing and unexpected names
        """Load weights; of those that are missing, the frozen networks' do not count."""
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        frozen = self._frozen_prefixes()
        missing = [name for name in result.missing_keys if not name.startswith(frozen)]
        if strict and (missing or result.unexpected_keys):
            raise RuntimeError(f"missing weights {missing}, unknown {result.unexpected_keys}")
        return type(result)(missing, result.unexpected_keys)

    def _frozen_prefixes(self) -> tuple[str, ...]:
        # One that is shared has several names, and the state lists it under each.
        everywhere = self.named_modules(remove_duplicate=False)
        return tuple(f"{name}." for name, part in everywhere if isinstance(part, FrozenClassifier))

    def load_trained_state(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        """Take trained weights, if they fit and were trained for these frozen networks.

        Args:
            state: what `trained_state` returned.
            fingerprints: what `fingerprints` returned beside it; empty to take the weights for
                other networks knowingly.

        Raises:
            InputError: weights are missing, unknown or of other shapes, or a frozen network has
                other weights than those that `state` was trained with.
        """
        self._check(state, fingerprints)
        self.load_state_dict(state)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen networks out, and record their fingerprints instead."""
        checkpoint["state_dict"] = self.trained_state()
        checkpoint["fingerprints"] = self._fingerprints or self.fingerprints()
        checkpoint["kept"] = self._kept
        # What was taken is in the checkpoint: the bundle need not be there when it is loaded.
        checkpoint.get("hyper_parameters", {}).update(finetuning.STARTING_POINT)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit; raises as `load_trained_state`."""
        self._check(checkpoint["state_dict"], checkpoint.get("fingerprints", {}))
        self._keep(checkpoint.get("kept", []))

    def _check(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        finetuning.require_fit(self.trained_state(), state, type(self).__name__)
        if fingerprints:
            finetuning.require_same_networks(self.fingerprints(), fingerprints)
