"""The evaluation that tests and comparisons share: one figure for a metric, and few passes."""

import csv
import json
import re

import pytest
import torch
from lightning.pytorch import Trainer

from datamodules import ShapesDataModule
from explainers import TAME, FrozenClassifier
from explainers.callbacks import ScoreLogger
from explainers.errors import InputError
from explainers.evaluation.comparison import Comparison
from explainers.evaluation.costs import counted
from explainers.evaluation.evaluator import Evaluator
from explainers.evaluation.uninformative import UNINFORMATIVE, centre_gaussian
from explainers.report.comparison_files import write_comparison

# Lightning and torch warn of their own parts.
pytestmark = pytest.mark.filterwarnings("default")

METRICS = ["average_drop", "average_gain", "insertion", "energy_pointing"]


@pytest.fixture
def explainer():
    torch.manual_seed(1)
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    made = TAME(classifier)
    for weight in made.network.head.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return made.eval()


@pytest.fixture
def data():
    return ShapesDataModule(length=7, size=64, batch_size=4)


def run_test(explainer, data, folder, **options):
    scores = ScoreLogger(METRICS, **options)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        default_root_dir=folder,
        callbacks=[scores],
    )
    (logged,) = trainer.test(explainer, data, verbose=False)
    return logged, scores.records


@pytest.mark.parametrize("maps", ["answered", "minmax"])
def test_a_metric_is_the_same_figure_in_a_test_and_in_a_comparison(explainer, data, tmp_path, maps):
    logged, records = run_test(explainer, data, tmp_path, map_normalisation=maps)
    methods = {"tame": explainer}
    evaluator = Evaluator(explainer.classifier, methods, METRICS, map_normalisation=maps)
    comparison = Comparison(evaluator, methods, data.test_dataloader(), {}, tmp_path)
    found = comparison.run()
    (row,) = found.rows
    for metric in (*METRICS, "map_area"):
        assert logged[f"test/explainer/{metric}"] == row[metric], metric
    own = [record for record in records if record["explainer"] == "explainer"]
    assert [record | {"explainer": "tame"} for record in own] == found.records


def test_the_normalisation_of_maps_is_in_the_protocol_and_in_the_headings(
    explainer, data, tmp_path
):
    data.setup("test")
    drops, headings = [], []
    for maps in ("answered", "minmax"):
        methods = {"tame": explainer}
        evaluator = Evaluator(explainer.classifier, methods, METRICS, map_normalisation=maps)
        found = Comparison(evaluator, methods, data.test_dataloader(), {}, tmp_path / maps).run()
        write_comparison(found, tmp_path / maps)
        drops.append(found.rows[0]["average_drop"])
        table = (tmp_path / maps / "table.md").read_text()
        headings.append(next(line for line in table.splitlines() if line.startswith("| explainer")))
        results = json.loads((tmp_path / maps / "results.json").read_text())
        assert results["protocol"]["map"] == evaluator.protocol["map"]
    assert drops[0] != drops[1]
    assert "AD % ↓ (maps as answered)" in headings[0]
    assert "AD % ↓ (maps min-max)" in headings[1]
    # The order of the pixels, which is all that insertion reads, does not change.
    assert all(re.search(r"\| +insertion \|", heading) for heading in headings)


def test_unknown_normalisation_is_refused(explainer):
    with pytest.raises(InputError, match="unknown map normalisation 'max'; did you mean minmax"):
        Evaluator(explainer.classifier, ["tame"], map_normalisation="max")


def test_a_test_of_seven_rows_takes_nine_passes_an_image(explainer, data, tmp_path):
    """One to explain, one of the whole image, and one of each of the seven rows' masked image."""
    scores = ScoreLogger()
    trainer = Trainer(
        accelerator="cpu", logger=False, default_root_dir=tmp_path, callbacks=[scores],
        enable_progress_bar=False,
    )  # fmt: skip
    with counted(explainer.classifier) as passes:
        trainer.test(explainer, data, verbose=False)
    assert len(UNINFORMATIVE) == 6
    assert passes[0] == 9 * data.length


def test_methods_of_a_comparison_share_the_pass_of_the_whole_image(explainer, data, tmp_path):
    data.setup("test")
    methods = {name: lambda images, target: centre_gaussian(images) for name in "abc"}
    evaluator = Evaluator(explainer.classifier, methods)
    batches = data.test_dataloader()
    comparison = Comparison(evaluator, methods, batches, {}, tmp_path, pictured=())
    with counted(explainer.classifier) as passes:
        rows = comparison.run().rows
    assert passes[0] == (1 + 3) * data.length
    assert len({row["average_drop"] for row in rows}) == 1


def test_shared_responses_are_those_that_each_row_would_ask_for(explainer, data):
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    images = batch["image"]
    alone = Evaluator(explainer.classifier, ["tame"], METRICS)
    shared = Evaluator(explainer.classifier, ["tame"], METRICS)
    labels, known = shared.unmasked(images)
    scores = explainer(images, labels).detach()
    expected = alone.update("tame", explainer, batch, labels, scores)
    actual = shared.update("tame", explainer, batch, labels, scores, known)
    for one, other in zip(expected, actual, strict=True):
        assert one.pop("key") == other.pop("key")
        assert one.pop("explainer") == other.pop("explainer")
        assert one == pytest.approx(other, rel=1e-5, abs=1e-4, nan_ok=True)


def test_no_pass_is_spent_on_whole_images_that_no_metric_asks_for(explainer, data):
    data.setup("test")
    images = next(iter(data.test_dataloader()))["image"]
    evaluator = Evaluator(explainer.classifier, ["tame"], ["insertion"])
    labels = torch.zeros(len(images), dtype=torch.int64)
    with counted(explainer.classifier) as passes:
        assert evaluator.unmasked(images, labels) == (labels, {})
    assert passes[0] == 0


def test_a_test_writes_a_record_an_image_and_row(explainer, data, tmp_path):
    _, records = run_test(explainer, data, tmp_path)
    with (tmp_path / "records.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    rows = ["explainer", *UNINFORMATIVE]
    assert len(read) == len(records) == len(rows) * data.length
    assert {record["explainer"] for record in read} == set(rows)
    assert {"key", "target", "average_drop", "map_area", "map_left_out"} <= read[0].keys()


def test_an_image_that_a_map_leaves_as_it_is_gains_and_loses_nothing(explainer, data):
    """Passes of other sizes round otherwise, which the average increase would count."""
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    images = batch["image"]

    def rounding(shown):  # a classifier whose rounding depends on how many images it is shown
        return explainer.classifier(shown) * (1 + len(shown) * 1e-6)

    evaluator = Evaluator(explainer.classifier, ["ones"], ["average_increase", "average_drop"])
    rounding.decision = explainer.classifier.decision
    evaluator.classifier = rounding
    labels, known = evaluator.unmasked(images)
    ones = torch.ones_like(images[:, :1])
    evaluator.scoreboards["ones"].chunk_size = 3
    records = evaluator.update("ones", lambda images, target: ones, batch, labels, ones, known)
    assert [record["average_increase"] for record in records] == [0] * len(images)
    assert [record["average_drop"] for record in records] == [0] * len(images)
