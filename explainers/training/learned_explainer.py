"""The half of the contract that trains: what all learned explainers share.

Their objective looks, for every image of a batch, at the masks of its own class and of others,
which it does not show.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers.base import evaluating, probability_of
from explainers.classifier import ClassifierSource
from explainers.evaluation.scored import Batch
from explainers.training.distributed import means, of_all
from explainers.training.losses import mean_areas
from explainers.training.mask_collapse import CollapseAlarms, constant_share
from explainers.training.masking_network import MaskingNetwork, Readings, enlarge
from explainers.training.one_cycle import one_cycle
from explainers.training.trained import TrainedExplainer

logger = logging.getLogger(__name__)


class LearnedExplainer(TrainedExplainer):
    """Trains one network to explain one frozen classifier.

    A subclass sets `network` and says in `losses` what makes a mask good.

    Attributes:
        network: what is trained.
        cycle_momentum: as `schedule.one_cycle` takes it.
        recall: stands between training and `read`, which it calls for images it does not know.
    """

    export_obstacle = None
    network: MaskingNetwork
    cycle_momentum = True

    def __init__(self, classifier: ClassifierSource, lr: float, weight_decay: float) -> None:
        super().__init__(classifier)
        self.lr = lr
        self.weight_decay = weight_decay
        self._alarms = CollapseAlarms()
        self.recall: Callable[[Tensor, Callable[[Tensor], Readings]], Readings] | None = None

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
            predicted = target is None and self.classifier.num_classes
            known = logits.argmax(dim=1) if predicted else self.resolve_target(images, target)
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
