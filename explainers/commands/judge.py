"""`explainers judge`: EVAL-X, methods by what a judge trained on masked images sees in their maps."""

import argparse
from dataclasses import replace
from pathlib import Path

from datamodules import ImageDataModule
from explainers.callbacks.durable_checkpoints import DurableCheckpoints
from explainers.callbacks.graceful_stop import GracefulStop
from explainers.callbacks.progress_line import ProgressLine
from explainers.classifier import FrozenClassifier
from explainers.commands.compare import output_folder, score
from explainers.commands.comparison_config import ComparisonConfig, config_of
from explainers.commands.training_cli import quiet_libraries
from explainers.errors import MOST_COUNTED, require_whole
from explainers.from_config import build, resolve
from explainers.training.masked_surrogate import MaskedSurrogate, trained_as
from explainers.training.surrogate_training import train_surrogate

KEPT = (5, 15, 50)
METRICS = [
    "average_drop",
    *(f"evalx_{what}_{percent}" for what in ("accuracy", "probability") for percent in KEPT),
]


def run(arguments: argparse.Namespace) -> int:
    """Train the judge, unless the folder or `judge` has one, and score the methods by it."""
    output = output_folder(arguments.output)
    config = config_of(arguments)
    if config.judge is None:
        quiet_libraries("warning")
        config = replace(config, judge=str(_trained(config, arguments, output)))
    print(_quality(Path(str(config.judge))))
    return score(replace(config, metrics=METRICS), arguments.checkpoint, output)


def _quality(folder: Path) -> str:
    """How well a judge answers on masked images that it was not trained on, in a sentence."""
    training = trained_as(folder)
    own, classifiers = training["divergence"], training["divergence_of_the_classifier"]
    text = (
        f"the judge's divergence from the classifier under random masks of held-out images is "
        f"{own:.3f}; the classifier's own is {classifiers:.3f}"
    )
    return (
        text if own < classifiers else f"{text}: train it longer (--steps), it has learned nothing"
    )


def _trained(config: ComparisonConfig, arguments: argparse.Namespace, output: Path) -> Path:
    """The folder of the judge, which is trained if it is not there."""
    require_whole("--steps", arguments.steps, 1, MOST_COUNTED)
    resolve(config.data["class_path"], ImageDataModule)
    classifier = FrozenClassifier.of(config.classifier)
    data: ImageDataModule = build(config.data, ImageDataModule)
    surrogate = MaskedSurrogate(classifier, arguments.cells, arguments.lr)
    settings = {
        "classifier": classifier.fingerprint(),
        "data": config.data,
        "steps": arguments.steps,
        "lr": arguments.lr,
        "cells": arguments.cells,
    }
    stop = GracefulStop("the same command")
    return train_surrogate(
        surrogate,
        data,
        output / "judge",
        arguments.steps,
        settings,
        [stop, ProgressLine()],
        [DurableCheckpoints()],
    )
