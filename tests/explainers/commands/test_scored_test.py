import pytest
import torch
from lightning import Trainer

from datamodules import ShapesDataModule
from explainers import TAME, FrozenClassifier
from explainers.callbacks import ScoreLogger
from explainers.commands.scored_test import scored_test
from explainers.evaluation.records import read_records

MOSAICS = 3


class Unlabelled(ShapesDataModule):
    """Shapes of which nobody knows the class."""

    def setup(self, stage):
        super().setup(stage)
        test = self.test_set
        self.test_set = [
            {"image": test[index]["image"], "key": str(index)} for index in range(len(test))
        ]


def explainer_of(spread):
    torch.manual_seed(0)
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=16)
    last = classifier.model.get_classifier()
    torch.nn.init.normal_(last.weight, std=spread)
    data = ShapesDataModule(length=40, size=64, batch_size=40)
    data.setup("test")
    with torch.no_grad():  # else all images are of one class
        last.bias -= classifier(next(iter(data.test_dataloader()))["image"]).mean(dim=0)
    return TAME(classifier)


def after_test(explainer, folder):
    scores = ScoreLogger(["average_drop"])
    scores.keep_start(explainer)
    data = Unlabelled(length=40, size=64, batch_size=8)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        default_root_dir=folder,
        callbacks=[scores],
    )
    trainer.test(explainer, data, verbose=False)
    return trainer, data, scores


@pytest.mark.filterwarnings("default")
def test_grid_pointing_is_in_the_table_of_the_test(tmp_path):
    explainer = explainer_of(3000.0)
    trainer, data, scores = after_test(explainer, tmp_path)
    alone = scored_test(trainer, explainer, data, 0)
    found = scored_test(trainer, explainer, data, MOSAICS)
    rows = {row["explainer"]: row for row in found.rows}
    assert [*rows][:2] == ["tame", "before_training"]
    assert rows["ones"]["grid_pointing"] == pytest.approx(25)
    assert rows["tame"]["grid_pointing"] == rows["before_training"]["grid_pointing"]
    drops = [row["average_drop"] for row in found.rows]
    assert drops == [row["average_drop"] for row in alone.rows]
    assert "grid_pointing" not in alone.rows[0]
    assert len(read_records(tmp_path / "records_mosaics.csv")) == MOSAICS * 4 * len(rows)
    assert len(read_records(tmp_path / "records.csv")) == 40 * len(rows)
    assert "training changed grid pointing by +0.0" in found.text
    assert rows["ones"]["average_gain_on_mosaics"] == 0
    assert rows["tame"]["average_gain_on_mosaics"] == pytest.approx(
        rows["before_training"]["average_gain_on_mosaics"]
    )
    assert "training changed average gain on mosaics by +0.0" in found.text
    assert found.protocol["mosaics"].startswith("3 mosaics of 2 x 2 cells, chance 25 %; ")
    assert (scores.metrics, scores.file) == (["average_drop"], "records.csv")


@pytest.mark.filterwarnings("default")
def test_too_few_known_images_leave_it_out_and_say_so(tmp_path, capsys):
    explainer = explainer_of(0.01)
    trainer, data, _ = after_test(explainer, tmp_path)
    found = scored_test(trainer, explainer, data, MOSAICS)
    assert "grid_pointing" not in found.rows[0]
    assert "note: no scores on mosaics: a mosaic of 2 x 2 cells needs" in capsys.readouterr().err
