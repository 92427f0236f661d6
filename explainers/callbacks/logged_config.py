"""The config of a run: in its folder, and as a text in the loggers that show texts."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from explainers.callbacks.logger_pictures import show_text


class LoggedConfig(SaveConfigCallback):
    """Writes config.yaml, and shows it; where the logger has no folder, to the trainer's own."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write and show the config, once."""
        self.save_to_log_dir = trainer.log_dir is not None  # asks all processes
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Show the config; called in the first process."""
        if not self.save_to_log_dir:
            path = Path(trainer.default_root_dir, self.config_filename)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.parser.save(self.config, path, skip_none=False, overwrite=self.overwrite)
        show_text(trainer, "config", self.parser.dump(self.config, skip_none=False))
