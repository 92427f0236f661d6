"""A closer look at the first images of each validation: objective, grid pointing, map values."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from explainers.base import Batch
from explainers.callbacks.logger_pictures import show_histogram
from explainers.classifier.inference import evaluating
from explainers.errors import MOST_COUNTED, require_whole
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.mosaic_pointing import mosaic_pointing


class ValidationMonitor(Callback):
    """Logs what a fit's validations say beside their scores.

    `val/loss` and `val/TERM` are the objective, in eval mode, on the first images of each process,
    and `val/grid_pointing` is on mosaics of these, in percent: 25 is chance; it is left out where
    the classifier knows too few of them surely. `val/map_area` is of all images, in percent. Where
    a logger has histograms, `val/map_values` and `val/map_areas` are of the first process's images.

    An explainer with a `costly_objective` has no `val/loss`.

    Args:
        images: how many to look at, on each process.
        mosaics: how many to point into, on each process; 0 for none.

    Raises:
        InputError: a number is out of its range.
    """

    def __init__(self, images: int = 32, mosaics: int = 8) -> None:
        require_whole("images", images, 1, MOST_COUNTED)
        require_whole("mosaics", mosaics, 0, MOST_COUNTED)
        self.images = images
        self.mosaics = mosaics
        self._batches: list[Tensor] = []
        self._maps: list[Tensor] = []
        self._areas: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget a validation that was stopped."""
        self._forget()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images and the areas of the maps."""
        if not _fits(trainer, pl_module):
            return
        assert isinstance(pl_module, LearnedExplainer)
        assert isinstance(outputs, Mapping)  # of Explainer.validation_step
        maps = pl_module.to_maps(outputs["scores"])
        self._areas.append(maps.mean(dim=(1, 2, 3)))
        room = self.images - sum(map(len, self._batches))
        if room > 0 and len(maps):
            self._batches.append(batch["image"][:room])
            self._maps.append(maps[:room])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what was found."""
        if not _fits(trainer, pl_module):
            return
        assert isinstance(pl_module, LearnedExplainer)
        areas = torch.cat(self._areas)
        found = {"map_area": 100 * _mean_of_all(trainer, areas.sum(), len(areas))}
        batches = self._shared_batches(trainer, areas)
        if batches and not getattr(pl_module, "costly_objective", False):
            found |= _objective(pl_module, batches)
        if batches and self.mosaics and pl_module.classifier.num_classes:
            shares = mosaic_pointing(pl_module, torch.cat(batches), self.mosaics)
            pointing = _mean_of_all(trainer, shares.sum(), len(shares))
            if not isnan(pointing):  # in any process
                found["grid_pointing"] = pointing
        pl_module.log_dict({f"val/{k}": v for k, v in found.items()}, sync_dist=True)
        show_histogram(trainer, "val/map_areas", areas)
        if self._maps:
            show_histogram(trainer, "val/map_values", torch.cat(self._maps))
        self._forget()

    def _forget(self) -> None:
        self._batches, self._maps, self._areas = [], [], []

    def _shared_batches(self, trainer: Trainer, like: Tensor) -> tuple[Tensor, ...]:
        """The images in batches, as large in every process, as objectives need them."""
        own = like.new_tensor(sum(map(len, self._batches)))
        count = int(trainer.strategy.reduce(own, reduce_op="min"))
        return torch.cat(self._batches)[:count].split(len(self._batches[0])) if count else ()


def _fits(trainer: Trainer, module: LightningModule) -> bool:
    fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
    return fitting and isinstance(module, LearnedExplainer)


def _mean_of_all(trainer: Trainer, total: Tensor, count: int) -> float:
    """The mean over all processes, each of which has a sum of so many; NaN where there are none."""
    own = torch.stack([total.double(), total.new_tensor(count).double()])
    both = trainer.strategy.reduce(own, reduce_op="sum").tolist()
    return both[0] / both[1] if both[1] else nan


@torch.no_grad()
def _objective(explainer: LearnedExplainer, batches: Sequence[Tensor]) -> dict[str, float]:
    """The terms of the objective and their sum, the mean over the images of batches (b 3 h w)."""
    totals: dict[str, float] = {}
    with evaluating(explainer):
        for images in batches:
            terms = explainer.masked(images, explainer.read(images))[-1]
            terms = terms | {"loss": torch.stack(list(terms.values())).sum()}
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + len(images) * float(value)
    count = sum(map(len, batches))
    return {name: total / count for name, total in totals.items()}
