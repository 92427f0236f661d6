"""What a trainer without train.py shows of a fit, in loggers of several kinds."""

import csv

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from datamodules import ShapesDataModule
from explainers import PTAME, PTAMEPlus, ShapleyExplainer
from explainers.callbacks import ScoreLogger, monitors
from explainers.evaluation.uninformative import UNINFORMATIVE

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns about its own dependencies

TINY = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
SCALARS = {
    "train/gradient_norm",
    "val/loss",
    "val/map_area",
    "hp_metric",
    *(f"uninformative/average_gain/{row}" for row in UNINFORMATIVE),
    *(f"time/{part}" for part in ("data", "frozen_passes", "masked_pass", "head", "other")),
    "time/images_per_second",
}


class StandIn(Logger):
    """A logger that shows numbers alone, as many do."""

    name, version = "stand-in", 0

    def __init__(self):
        super().__init__()
        self.metrics, self.settings = {}, {}

    def log_metrics(self, metrics, step=None):
        self.metrics |= metrics

    def log_hyperparams(self, params):
        self.settings |= params


def explainer(kind=PTAME, **settings):
    seed_everything(0, verbose=False)
    return kind(TINY, **settings or {"auxiliary": TINY})


def fitted(module, loggers, callbacks=None, ckpt_path=None, epochs=1):
    callbacks = [ScoreLogger(), *monitors()] if callbacks is None else callbacks
    data = ShapesDataModule(length=6, samples_per_epoch=16, size=32, batch_size=4, num_workers=0)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        log_every_n_steps=2,
        logger=loggers,
        callbacks=callbacks,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
    )
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path)
    return trainer


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A fit with three loggers."""
    folder = tmp_path_factory.mktemp("shown")
    loggers = [TensorBoardLogger(folder), CSVLogger(folder, "csv"), StandIn()]
    module = explainer()
    fitted(module, loggers)
    return module, loggers


def test_tensorboard_shows_all_of_it(shown, events_of):
    events = events_of(shown[1][0].log_dir)
    tags = events.Tags()
    assert set(tags["scalars"]) >= SCALARS
    terms = {tag.removeprefix("train/") for tag in tags["scalars"] if tag.startswith("train/")}
    assert terms & {"classification", "area", "variation"}
    for term in ("classification", "area", "variation"):
        assert f"val/{term}" in tags["scalars"]
    assert set(tags["histograms"]) == {"val/map_areas", "val/map_values"}
    assert tags["images"] == ["val/panel"]
    assert "custom_scalars__config__" in tags["tensors"]


def test_the_loss_is_the_sum_of_its_terms_in_validation_too(shown, events_of):
    events = events_of(shown[1][0].log_dir)
    terms = ("classification", "area", "variation")
    last = {name: events.Scalars(f"val/{name}")[-1].value for name in (*terms, "loss")}
    assert last["loss"] == pytest.approx(sum(last[name] for name in terms))


def test_hyperparameters_stand_beside_the_average_gain(shown, events_of):
    folder = shown[1][0].log_dir
    events = events_of(folder)
    assert [one.value for one in events.Scalars("hp_metric")] == [
        one.value for one in events.Scalars("val/average_gain")
    ]
    plugin = events.summary_metadata["_hparams_/session_start_info"].plugin_data
    assert plugin.plugin_name == "hparams"
    assert b"classifier/model" in plugin.content
    assert b"_instantiator" not in plugin.content


def test_other_loggers_get_the_numbers(shown):
    _, (_, table, stand_in) = shown
    with open(f"{table.log_dir}/metrics.csv") as file:
        assert set(next(csv.reader(file))) >= SCALARS - {"hp_metric"}
    assert set(stand_in.metrics) >= SCALARS - {"hp_metric"}
    assert stand_in.settings["lr"] == shown[0].lr


def test_nothing_is_left_on_the_explainer(shown):
    module, _ = shown
    for owner in (module, module.network):
        assert not {"read", "losses", "draw"} & vars(owner).keys()


def test_a_resumed_fit_goes_on_in_a_run_of_its_own(events_of, tmp_path):
    checkpoints = ModelCheckpoint(tmp_path, save_last=True)
    logger = TensorBoardLogger(tmp_path, version=0)
    fitted(explainer(), logger, [ScoreLogger(), *monitors(), checkpoints])
    logger = TensorBoardLogger(tmp_path, version=1)
    fitted(explainer(), logger, None, checkpoints.last_model_path, epochs=2)
    events = events_of(logger.log_dir)
    assert set(events.Tags()["scalars"]) >= SCALARS
    assert len(events.Scalars("hp_metric")) == 1


def test_a_fit_that_is_watched_ends_with_the_weights_of_one_that_is_not():
    states = []
    for callbacks in ([], None):
        module = explainer(PTAMEPlus, mosaics=2, decoder_width=8, stages=[-2, -1])
        fitted(module, False, callbacks)
        states.append(module.trained_state())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_signed_scores_are_watched_as_well(events_of, tmp_path):
    logger = TensorBoardLogger(tmp_path)
    fitted(explainer(ShapleyExplainer, cells=4, subsets=2, width=8), logger)
    assert set(events_of(logger.log_dir).Tags()["scalars"]) >= SCALARS


def test_a_step_that_fails_leaves_the_explainer_as_it_was(monkeypatch):
    def failing(self, *_):
        raise RuntimeError("lost")

    monkeypatch.setattr(PTAME, "losses", failing)
    module = explainer()
    with pytest.raises(RuntimeError, match="lost"):
        fitted(module, False)
    assert not {"read", "losses", "draw"} & vars(module).keys()
