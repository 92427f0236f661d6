"""An explainer at a glance: a panel of images and their maps, and TensorBoard's of a split."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from explainers.base import Explainer
from explainers.drawing import captioned, colourise, overlay, panel
from explainers.masking import keep


def explained_panel(explainer: Explainer, images: Tensor) -> Tensor:
    """One row an image (b 3 h w): image, map, overlay, masked image, the runner-up's overlay."""
    with torch.no_grad():
        probabilities = explainer.classifier(images).softmax(dim=1)
    top, classes = probabilities.topk(2, dim=1)
    maps, others = (
        explainer.to_maps(explainer(images, classes[:, rank]).detach()) for rank in (0, 1)
    )
    masked = keep(images, maps)
    names = explainer.classifier.class_names
    rows = []
    for index in range(len(images)):
        first, second = (
            f"{names[classes[index, rank]]} {100 * top[index, rank]:.0f} %" for rank in (0, 1)
        )
        one = slice(index, index + 1)
        pictures = [
            (images[index], first),
            (colourise(maps[one])[0], "map"),
            (overlay(images[one], maps[one])[0], first),
            (masked[index], "kept"),
            (overlay(images[one], others[one])[0], second),
        ]
        rows.append([captioned(picture, text) for picture, text in pictures])
    return panel(rows)


class PanelLogger(Callback):
    """Shows the same few images and their maps in TensorBoard, each validation and test.

    Beside them, for an explainer that optimises each map: how each image's objective rose.

    Args:
        count: how many of the first batch's images to show.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the panel from the first batch."""
        board: Any = getattr(trainer.logger, "experiment", None)
        shown = batch["image"][: self.count]
        if batch_idx or dataloader_idx or not len(shown) or not hasattr(board, "add_image"):
            return
        assert isinstance(pl_module, Explainer)  # for the type checker
        split = "test" if trainer.testing else "val"
        board.add_image(f"{split}/panel", explained_panel(pl_module, shown), trainer.global_step)
        curves = pl_module.objective_curves(shown)
        for image, curve in enumerate([] if curves is None else curves.tolist()):
            for step, value in enumerate(curve):
                board.add_scalar(f"{split}/objective/{image}", value, step)

    on_test_batch_end = on_validation_batch_end
