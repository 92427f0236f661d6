"""The half of the contract that trains: what all learned explainers share.

Their objective looks, for every image of a batch, at the masks of all classes of the batch: the
image's own class on the diagonal, and those that it does not show beside it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.base import Batch, Explainer
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.errors import InputError
from explainers.losses import mean_areas


class MaskingNetwork(nn.Module, ABC):
    """All of inference in plain torch: tensors in, a tensor out, what is exported."""

    @abstractmethod
    def masks(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels to masks in [0, 1] at a size of the network's own.

        Labels (b) ask for one class an image and give (b 1 _ _); labels (1 n) ask for the same n
        classes for all and give (b n _ _).
        """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (b 3 h w) and labels (b) to masks (b 1 h w) in [0, 1]."""
        return enlarge(self.masks(images, labels), images)


def enlarge(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks (b 1 _ _) to the size of images (b 3 h w)."""
    return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)


class LearnedExplainer(Explainer):
    """Trains one network to explain one frozen classifier.

    A subclass sets `network` and says in `losses` what makes a mask good. Checkpoints hold the
    trained weights only, and the fingerprints of the frozen networks that they were trained with.

    Attributes:
        network: what is trained.
    """

    network: "MaskingNetwork"
    # Whether the schedule lets momentum fall from .95 to .85 while the rate rises, and back.
    cycle_momentum = True

    def __init__(self, classifier: ClassifierSource, lr: float, weight_decay: float) -> None:
        super().__init__(classifier)
        self.lr = lr
        self.weight_decay = weight_decay
        self._fingerprints: dict[str, str] = {}

    @abstractmethod
    def losses(self, images: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms of the objective, each a scalar; training minimises the sum.

        Args:
            images: (b 3 h w) in [0, 1].
            labels: the predicted classes (b).
            masks: (b b _ _) in [0, 1], of every image for every class in `labels`.
        """

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Answer with the masks that training shapes, in one pass."""
        masks: Tensor = self.network(images, target)
        return masks

    def to_maps(self, scores: Tensor) -> Tensor:
        """Masks are maps already: training and inference mean the same by a value."""
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Minimise the sum of the losses on the classes that the classifier predicts."""
        images = batch["image"]
        labels = self.resolve_target(images, None)
        masks = self.network.masks(images, labels[None])
        losses = self.losses(images, labels, masks)
        total = torch.stack(list(losses.values())).sum()
        self._log_training(labels, masks.detach(), losses | {"loss": total})
        return total

    def _log_training(self, labels: Tensor, masks: Tensor, losses: dict[str, Tensor]) -> None:
        on_target, off_target = mean_areas(masks, labels)
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        values["train/target_area"] = on_target
        if not off_target.isnan():
            values["train/off_target_area"] = off_target
        self.log_dict(values, batch_size=len(labels))
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
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
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            self.lr,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.3,
            anneal_strategy="cos",
            cycle_momentum=self.cycle_momentum,
            base_momentum=0.85,
            max_momentum=0.95,
            div_factor=25.0,
            final_div_factor=1e4,
        )
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

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit; raises as `load_trained_state`."""
        self._check(checkpoint["state_dict"], checkpoint.get("fingerprints", {}))

    def _check(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        mine = {name: tuple(value.shape) for name, value in self.trained_state().items()}
        given = {name: tuple(value.shape) for name, value in state.items()}
        if mine != given:
            differing = sorted(mine.items() ^ given.items())
            raise InputError(
                f"the trained weights do not fit this {type(self).__name__}: {differing[0][0]} is "
                f"{given.get(differing[0][0], 'missing')}, expected "
                f"{mine.get(differing[0][0], 'nothing')}; use the settings it was trained with"
            )
        actual = self.fingerprints() if fingerprints else {}
        for name, expected in fingerprints.items():
            if actual.get(name) != expected:
                raise InputError(
                    f"trained for other weights of {name} (SHA-256 {expected[:12]}…, here "
                    f"{str(actual.get(name))[:12]}…); use those, or pass allow_other_weights=True "
                    "(--allow-other-weights) to take the risk"
                )
