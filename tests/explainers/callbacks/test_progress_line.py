"""The progress bar in one line."""

import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import nn, optim, rand
from torch.utils.data import DataLoader

from explainers.callbacks.progress_line import ProgressLine, in_columns, with_progress_line

VALUES = {"loss": 0.523, "confidence": 0.31, "area": 0.2, "off_target": 0.013, "AG": 12.34}


def test_names_are_whole_where_there_is_room():
    expected = "AG 12.3, loss 0.523: confidence 0.31 area 0.20 off_target 0.01"
    assert in_columns(VALUES, 80) == expected
    assert in_columns(VALUES, len(expected)) == expected


@pytest.mark.parametrize("columns", range(25, 62))
def test_names_are_cut_and_then_the_smallest_terms_left_out(columns):
    text = in_columns(VALUES, columns)
    assert len(text) <= columns
    assert text.startswith("AG 12.3, loss 0.523")
    if columns >= 49:
        assert "con" in text
        assert "are" in text
        assert "off" in text
    if "off" in text:
        assert "con" in text


def test_terms_of_weight_zero_are_left_out():
    assert in_columns({"loss": 1.0, "area": 1.0, "deletion": 0.0}, 80) == "loss 1.000: area 1.00"


def test_a_module_without_these_names_is_shown_as_well():
    assert in_columns({"divergence": 0.25}, 80) == "divergence 0.25"


def test_it_is_added_unless_there_is_a_bar_or_none_is_wanted():
    (added,) = with_progress_line({"callbacks": None})
    assert isinstance(added, ProgressLine)
    own = TQDMProgressBar()
    assert with_progress_line({"callbacks": own}) == [own]
    assert with_progress_line({"callbacks": [], "enable_progress_bar": False}) == []
    assert with_progress_line({"callbacks": [], "barebones": True}) == []


class Straight(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch).square().mean()
        self.log("train/divergence", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return optim.SGD(self.parameters(), 0.1)


def shown(capsys, **limits):
    options = {"logger": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", callbacks=[ProgressLine()], **limits, **options)
    trainer.fit(Straight(), DataLoader(rand(4, 2), batch_size=1))
    return capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_a_fit_of_so_many_steps_counts_steps_and_not_epochs(capsys):
    printed = shown(capsys, max_epochs=-1, max_steps=10)
    assert "Step 10/10, 00:00 left, divergence" in printed
    assert "Epoch" not in printed
    assert "-2" not in printed


@pytest.mark.filterwarnings("default")
def test_a_fit_of_epochs_counts_them_from_one(capsys):
    printed = shown(capsys, max_epochs=2)
    assert "Epoch 1/2 4/4, 00:00 left, divergence" in printed
    assert "Epoch 2/2 4/4, 00:00 left, divergence" in printed
