"""Shares of maps at the extremes, on maps whose areas are known, in a real validation."""

import logging
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer

from datamodules import ShapesDataModule
from explainers import PTAMEPlus
from explainers.training.map_collapse import MapCollapse

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns about its own dependencies

TINY = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


class Drawn(PTAMEPlus):
    """Maps of given areas, one image after the other."""

    def __init__(self, areas):
        super().__init__(TINY)
        self.areas = list(areas)

    def validation_step(self, batch, batch_idx):
        images = batch["image"]
        scores = torch.zeros_like(images[:, :1])
        for one in scores:
            one.flatten()[: int(self.areas.pop(0) * one.numel())] = 1
        return {"target": batch["label"], "scores": scores}


def validated(areas, caplog):
    data = ShapesDataModule(length=len(areas), size=32, batch_size=3)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    with caplog.at_level(logging.WARNING):
        (scores,) = trainer.validate(Drawn(areas), datamodule=data, verbose=False)
    return scores


def told(caplog):
    """The warnings of collapsed maps; Lightning logs into the same list."""
    name = "explainers.training.map_collapse"
    return [record.message for record in caplog.records if record.name == name]


def test_half_empty_and_half_full_is_told_although_the_mean_is_a_half(caplog):
    scores = validated([0.01, 0.95, 0.01, 0.95, 0.01, 0.95, 0.5, 0.5], caplog)
    assert scores["val/empty_share"] == scores["val/full_share"] == pytest.approx(3 / 8)
    (line,) = told(caplog)
    assert "38 % cover under 2 % of their image and 38 % over 90 %" in line
    assert line.endswith(
        "Train on more images, lower lr, or draw on what the classifier pools alone (stages: [-1])"
    )


def test_each_extreme_has_its_remedy(caplog):
    validated([0.01] * 2 + [0.5] * 6, caplog)
    validated([0.99] * 2 + [0.5] * 6, caplog)
    first, second = told(caplog)
    assert "lower lr or area_weight, or" in first
    assert "lower lr or raise area_weight, or" in second


def test_one_image_in_ten_at_an_extreme_is_not_a_collapse(caplog):
    scores = validated([0.0] + [0.3] * 9, caplog)
    assert scores["val/empty_share"] == pytest.approx(0.1)
    assert not told(caplog)


def test_untrained_maps_before_a_fit_are_not_told(caplog):
    trainer = SimpleNamespace(sanity_checking=True)
    alarm = MapCollapse()
    alarm.on_validation_batch_end(trainer, Drawn([]), {"scores": torch.zeros(4, 1, 8, 8)}, {}, 0)
    alarm.on_validation_epoch_end(trainer, None)
    assert not told(caplog)


def test_it_is_part_of_every_trainer_that_validates_a_learned_explainer():
    (alarm,) = PTAMEPlus(TINY).configure_callbacks()
    assert isinstance(alarm, MapCollapse)
