"""Bundles of learned explainers before their first step."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from explainers.bundle import save_bundle


class StartWriter(Callback):
    """Writes the bundle of what a fit starts from, unless it is there.

    Args:
        folder: of the bundle.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write it, before a checkpoint is loaded."""
        if stage == "fit" and not (self.folder / "config.json").is_file():
            save_bundle(pl_module, self.folder, {"steps": 0}, scores=[], picture=None)
