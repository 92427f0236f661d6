"""Detection of collapsed maps at each validation: shares of images that are kept whole, or not at all.

A mean over images does not tell: half of them empty and half of them full look like any other.
"""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers.base import Explainer
from explainers.training.mask_collapse import GREATEST_AREA, LEAST_AREA

GREATEST_SHARE = 0.1
"""Share of the images at either extreme above which a validation warns."""

logger = logging.getLogger(__name__)


class MapCollapse(Callback):
    """Logs the shares of a validation's maps that cover next to nothing and next to everything.

    `val/empty_share` is that of maps with a mean under 0.02, and `val/full_share` over 0.9; above a
    tenth of the images, a warning says what to do.
    """

    def __init__(self) -> None:
        self._counts: Tensor | None = None

    @classmethod
    def unless_in(cls, trainer: Trainer | None) -> list[Callback]:
        """One for a trainer that has none, as Lightning's `configure_callbacks` returns them."""
        callbacks: list[Callback] = trainer.callbacks if trainer else []  # type: ignore[attr-defined]
        return [] if any(isinstance(one, cls) for one in callbacks) else [cls()]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the maps of a batch."""
        assert isinstance(outputs, Mapping)  # of Explainer.validation_step
        assert isinstance(pl_module, Explainer)
        maps = pl_module.to_maps(outputs["scores"])
        areas = maps.flatten(1).mean(dim=1)
        counts = torch.stack([(areas < LEAST_AREA).sum(), (areas > GREATEST_AREA).sum()])
        counts = torch.cat([counts, counts.new_full((1,), len(areas))])
        self._counts = counts if self._counts is None else self._counts + counts

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the shares over all processes, and warn."""
        counts, self._counts = self._counts, None
        if counts is None or trainer.sanity_checking:
            return
        empty, full, images = trainer.strategy.reduce(counts.double(), reduce_op="sum").tolist()
        shares = empty / max(images, 1), full / max(images, 1)
        pl_module.log_dict(
            dict(zip(("val/empty_share", "val/full_share"), shares, strict=True)), sync_dist=True
        )
        if max(shares) > GREATEST_SHARE:
            advice = getattr(pl_module, "collapse_advice", "")
            rank_zero_only(logger.warning)(_message(*shares, advice))


def _message(empty: float, full: float, advice: str) -> str:
    remedies = "lower lr"
    if empty <= GREATEST_SHARE:
        remedies += " or raise area_weight"
    if full <= GREATEST_SHARE:
        remedies += " or area_weight"
    return (
        f"of the validation's maps {100 * empty:.0f} % cover under {100 * LEAST_AREA:.0f} % of their "
        f"image and {100 * full:.0f} % over {100 * GREATEST_AREA:.0f} %: they have collapsed. "
        f"Train on more images, {remedies}{advice}"
    )
