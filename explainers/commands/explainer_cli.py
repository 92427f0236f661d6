"""Lightning's CLI, with the table and the bundle at the end of a fit of a learned explainer."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from explainers.bundle import save_bundle
from explainers.callbacks import (
    DurableCheckpoints,
    MapWriter,
    ScoreLogger,
    TrainingClock,
)
from explainers.callbacks.csv_metrics import kept_csv_metrics
from explainers.callbacks.progress_line import with_progress_line
from explainers.commands.chosen_images import choose_images
from explainers.commands.scored_test import ScoredTest, scored_test
from explainers.commands.training_cli import (
    add_run_options,
    check_trainer,
    note,
    plain_data_settings,
    quiet_libraries,
    reason_of,
    refuse,
    require_writable,
    take_class_names,
)
from explainers.errors import InputError
from explainers.from_config import config_file
from explainers.report.explanation_panel import explained_panel
from explainers.training.checkpoint_files import NAMED, compare_with_config, read_checkpoint
from explainers.training.learned_explainer import LearnedExplainer

Kind = TypeVar("Kind", bound=Callback)


class ExplainerCLI(LightningCLI):
    """LightningCLI with the end that every fit of ours has: test, table, bundle."""

    _resumed_step: int | None = None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of a run beside model, data and trainer."""
        add_run_options(parser)
        parser.add_lightning_class_args(MapWriter, "maps")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and refuse numbers that no run can have before anything is built."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            words = sys.argv[1:] if args is None else args
            named = _with_config_paths(words) if isinstance(words, list) else words
            super().parse_arguments(parser, named)
        if subcommand := self.config.get("subcommand"):
            quiet_libraries(self.config[subcommand]["log_level"])
            check_trainer(self.config[subcommand])

    def instantiate_classes(self) -> None:
        """Build model, data and trainer; what they refuse is reported in one line."""
        try:
            super().instantiate_classes()
        except Exception as error:  # noqa: BLE001  jsonargparse wraps them all
            refuse(reason_of(error))
        take_class_names(self.model, self.datamodule.classes)
        if images := choose_images(self.datamodule, self.model.classifier):
            note(images)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401  Lightning's own
        """Build the trainer; its checkpoints are durable unless the config names others."""
        settings = self._get(self.config_init, "trainer")
        plugins = settings["plugins"] or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*plugins, DurableCheckpoints()]
        kwargs = {"plugins": plugins, "callbacks": with_progress_line(settings), **kwargs}
        trainer = super().instantiate_trainer(**kwargs)
        options = ("metrics", "chunk_size", "map_normalisation")
        scores = ScoreLogger(*(self._get(self.config_init, option) for option in options))
        trainer.callbacks.insert(0, scores)  # type: ignore[attr-defined]
        for logger in trainer.loggers:
            _ = logger.version  # else processes that are forked off would each take the next one
        return trainer

    def before_fit(self) -> None:
        """Refuse what cannot be trained, or whose bundle could not be written."""
        if not isinstance(self.model, LearnedExplainer):
            raise InputError(
                f"{type(self.model).__name__} has nothing to train; run test or predict with this "
                "config, or explainers explain --config"
            )
        self._check_checkpoint(resume=True)
        self._callback(ScoreLogger).keep_start(self.model)
        if folder := self._get(self.config, "bundle"):
            require_writable(folder)

    def before_validate(self) -> None:
        """Refuse a checkpoint of something else."""
        self._check_checkpoint()

    before_test = before_validate

    def _parse_ckpt_path(self) -> None:
        """Leave the config as it is; Lightning would put the checkpoint's model in its place."""

    def _check_checkpoint(self, resume: bool = False) -> None:
        """Read the checkpoint that a run is given, and say what differs from the config."""
        path = self._get(self.config, "ckpt_path")
        if path is None:
            return
        if str(path).startswith(NAMED) and not Path(path).exists():
            if resume:
                return
            raise InputError(
                f"--ckpt_path {path} stands for a checkpoint of the same run, and this one has not "
                "trained; name a .ckpt file"
            )
        checkpoint = read_checkpoint(path)
        self._resumed_step = checkpoint.get("global_step")
        kind = type(self.model).__name__
        line = compare_with_config(checkpoint, kind, dict(self.model.hparams), resume)
        if line:
            note(line)

    def after_fit(self) -> None:
        """Test what was trained, print the table, and write the bundle."""
        if not isinstance(self.model, LearnedExplainer):
            return
        steps = self._callback(TrainingClock).take_over(self.trainer)
        if steps == self._resumed_step:
            note(
                "the checkpoint's training was finished already; raise trainer.max_epochs for more"
            )
        with kept_csv_metrics(self.trainer.loggers):
            self.trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        found = self._report()
        folder = self._get(self.config, "bundle")
        if folder and not getattr(self.trainer, "fast_dev_run", False):
            self._write_bundle(folder, found, steps)

    def before_predict(self) -> None:
        """Keep the maps on the disk only, as they may not all fit into memory."""
        self._check_checkpoint()
        options = self._get(self.config_init, "return_predictions", default=None)
        self.config_init["predict"]["return_predictions"] = bool(options)
        self._get(self.config_init, "maps").data = plain_data_settings(
            self._get(self.config, "data")
        )

    def after_predict(self) -> None:
        """Say where the maps are, and what has none."""
        writer = self._get(self.config_init, "maps").writer
        print(f"\n{len(writer)} maps in {len(writer.shards)} shards: {writer.folder}/maps-*.tar")
        unread = len(self.datamodule.unreadable.found) + len(writer.left_out)
        if unread:
            refuse(f"{unread} images were left out; the log and {writer.folder} name them")

    def after_test(self) -> None:
        """Print the table."""
        self._report()

    def _report(self) -> ScoredTest:
        """Print the table of a test."""
        mosaics = self._get(self.config, "mosaics")
        found = scored_test(self.trainer, self.model, self.datamodule, mosaics)
        rank_zero_only(print)(f"\n{found.text}")
        return found

    def _callback(self, kind: type[Kind]) -> Kind:
        (found,) = (one for one in self.trainer.callbacks if isinstance(one, kind))  # type: ignore[attr-defined]
        return found

    @rank_zero_only
    def _write_bundle(self, folder: str, found: ScoredTest, steps: int) -> None:
        data = self.config[self.subcommand]["data"]
        training = {
            "data": data["class_path"],
            "data settings": dict(data["init_args"]),
            "steps": steps,
            **self._callback(TrainingClock).record,
            "seed": self.config[self.subcommand]["seed_everything"],
            "tested on": "the datamodule's test split",
        }
        self.datamodule.setup("test")  # which only the processes that tested may have done
        images = self.datamodule.test_images(6).to(self.model.device)
        start = self._callback(ScoreLogger).start
        picture = explained_panel(self.model, images, start) if len(images) else None
        told = training, found.rows, picture
        path = save_bundle(self.model, folder, *told, protocol=found.protocol)
        print(f"\nwrote {path}; look at {path / 'panel.png'}")


def _with_config_paths(words: Sequence[str]) -> list[str]:
    """Words of a command line, in which a config of the package is a path."""
    found = []
    for before, word in zip(["", *words], words, strict=False):
        if before in ("--config", "-c"):
            found.append(str(config_file(word)))
        elif word.startswith("--config="):
            found.append(f"--config={config_file(word.partition('=')[2])}")
        else:
            found.append(word)
    return found
