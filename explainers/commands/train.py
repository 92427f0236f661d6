"""`explainers train`: fit, validate, test or predict; train.py of a checkout is the same.

A fit of a learned explainer ends with a test, a table, and the bundle that `--bundle` names.
"""

import argparse
from collections.abc import Sequence

from lightning.pytorch.cli import ArgsType, LightningCLI

import datamodules
from datamodules import ImageDataModule
from explainers.base import Explainer
from explainers.callbacks import GracefulStop, ProcessWatch, TrainingClock, monitors
from explainers.callbacks.logged_config import LoggedConfig
from explainers.commands.explainer_cli import ExplainerCLI
from explainers.commands.training_cli import OneLineTrainingParser, run_in_one_line

# Loaded, so that configs can name data sets without their module.
DATA_SETS = [getattr(datamodules, name) for name in datamodules.__all__]


class Parser(argparse.ArgumentParser):
    """Takes all words as they are: Lightning's CLI parses them."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """The words."""
        return argparse.Namespace(words=list(args or ()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the options are those of Lightning's CLI."""


def run(arguments: argparse.Namespace) -> int:
    """Run one subcommand of the Lightning CLI, which exits by itself after an error."""
    main(arguments.words)
    return 0


def main(args: ArgsType = None, go_on: str | None = None) -> LightningCLI:
    """Run one subcommand of the Lightning CLI.

    Args:
        args: words in the place of those of the command line.
        go_on: the command that resumes it, where that is another one.
    """
    return run_in_one_line(
        lambda: ExplainerCLI(
            Explainer,
            ImageDataModule,
            parser_class=OneLineTrainingParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults={
                "callbacks": [
                    *(GracefulStop(go_on), TrainingClock(), ProcessWatch()),
                    *monitors(),
                ],
                # The datamodules split their data among processes themselves, without padding.
                "use_distributed_sampler": False,
            },
            save_config_callback=LoggedConfig,
            save_config_kwargs={"overwrite": True},
            args=args,
        )
    )
