"""A comparison on a toy classifier: what it writes, what it survives, and where it goes on."""

import csv
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from explainers import PTAME, FrozenClassifier
from explainers.errors import InputError
from explainers.evaluation.comparison import Comparison
from explainers.evaluation.costs import Training, device_name
from explainers.evaluation.evaluator import Evaluator
from explainers.evaluation.uninformative import centre_gaussian
from explainers.images.normalisation import min_max
from explainers.report.comparison_files import write_comparison

RANDOM_RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.fixture
def classifier():
    return FrozenClassifier.of(RANDOM_RESNET)


@pytest.fixture
def batches():
    """Five images in batches of 3 and 2."""
    images = torch.rand(5, 3, 64, 96)
    return [
        {"image": images[part], "key": [f"image{i}" for i in range(5)[part]]}
        for part in (slice(0, 3), slice(3, 5))
    ]


def gaussian(images, labels):
    return centre_gaussian(images)


def compare(classifier, methods, batches, folder, pictured=(0, 1), **options):
    evaluator = Evaluator(
        classifier, methods, ["average_drop", "average_gain"], map_normalisation="minmax"
    )
    return Comparison(evaluator, methods, batches, {"data": "noise"}, folder, pictured, **options)


def test_a_network_without_classes_needs_references(batches, tmp_path):
    classifier = FrozenClassifier.of(RANDOM_RESNET | {"num_classes": 0})
    with pytest.raises(InputError, match="test_resnet has no classes; set references: nearest"):
        compare(classifier, {"gaussian": gaussian}, batches, tmp_path).run()


def test_writes_results_table_records_and_panel(classifier, batches, tmp_path):
    methods = {"gaussian": gaussian, "ptame": PTAME(classifier, RANDOM_RESNET).eval()}
    found = compare(classifier, methods, batches, tmp_path).run()
    write_comparison(found, tmp_path)
    rows = found.rows
    results = json.loads((tmp_path / "results.json").read_text())
    ranks = [row.pop("mean_rank") for row in results["rows"]]
    assert sum(ranks) == 3  # of two methods, by each metric 1 and 2, or 1.5 twice
    assert results["rows"] == rows
    assert [row["explainer"] for row in rows] == ["gaussian", "ptame"]
    assert results["protocol"]["data"] == "noise"
    for row in rows:
        low, high = row["average_drop_interval"]
        assert low <= row["average_drop"] <= high
        assert row["images"] == 5
        assert row["failed"] == []
    with (tmp_path / "records.csv").open() as file:
        records = list(csv.DictReader(file))
    assert [record["key"] for record in records] == [f"image{i}" for i in range(5)] * 2
    mean = sum(float(record["average_drop"]) for record in records[:5]) / 5
    assert rows[0]["average_drop"] == pytest.approx(mean, rel=1e-5)
    assert "| gaussian" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "panel.png").is_file()
    for row in rows:
        low, high = row["map_area_interval"]
        assert 0 < low <= row["map_area"] <= high < 100
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2 * 3  # two images; the image and two overlays
    assert "Curves" not in page  # no metric is the area under one


def test_pictures_are_of_the_same_images_in_every_column(classifier, batches, tmp_path):
    def fails_on_the_second(images, labels):
        if (images == batches[0]["image"][1]).all(dim=(1, 2, 3)).any():
            raise RuntimeError("no map of this one")
        return images.mean(dim=1, keepdim=True)

    def brightness(images, labels):
        return images.mean(dim=1, keepdim=True)

    methods = {"brightness": brightness, "fails": fails_on_the_second}
    images = [batches[0]["image"][0], batches[1]["image"][0], batches[1]["image"][1]]
    found = compare(classifier, methods, batches, tmp_path, pictured=(0, 3, 4)).run().pictures
    assert [one.key for one in found] == ["image0", "image3", "image4"]
    for image, one in zip(images, found, strict=True):
        assert torch.equal(one.image, image)
        assert list(one.maps) == ["brightness", "fails"]
        probabilities = classifier(image[None]).softmax(dim=1)[0]
        for name, drawn in one.maps.items():
            torch.testing.assert_close(drawn.one_map[None], min_max(brightness(image[None], None)))
            torch.testing.assert_close(drawn.scores[None], brightness(image[None], None))
            assert drawn.caption == classifier.class_names[int(probabilities.argmax())]
            assert drawn.probability == pytest.approx(float(probabilities.max()))
            assert (drawn.method, drawn.signed) == (name, False)
    found = compare(classifier, methods, batches, tmp_path, pictured=(1, 3)).run().pictures
    assert [list(one.maps) for one in found] == [["brightness"], ["brightness"]]


def test_training_is_told_beside_what_an_image_costs(classifier, batches, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr("explainers.evaluation.comparison.time", clock)

    def slow(images, labels):
        clock.now += 0.2 * len(images)
        return centre_gaussian(images)

    def at_once(images, labels):
        return centre_gaussian(images)

    methods = {"trained": at_once, "slow": slow, "ptame": PTAME(classifier, RANDOM_RESNET).eval()}
    trainings = {"trained": Training(100.0, device_name(torch.device("cpu")))}
    found = compare(classifier, methods, batches, tmp_path, trainings=trainings).run()
    write_comparison(found, tmp_path)
    trained, slow_row, ptame = found.rows
    results = json.loads((tmp_path / "results.json").read_text())
    assert all(row.pop("mean_rank") >= 1 for row in results["rows"])
    assert results["rows"] == [trained, slow_row, ptame]
    assert results["protocol"]["device"] == trained["training_device"]
    assert slow_row["seconds_per_image"] == pytest.approx(0.2)
    assert trained["break_even"]["slow"] == math.ceil(100 / slow_row["seconds_per_image"])
    assert slow_row["training_seconds"] == 0
    assert slow_row["break_even"] == {}
    # Nobody told what it took to train this one.
    assert ptame["training_seconds"] is ptame["break_even"] is None
    text = (tmp_path / "table.md").read_text()
    assert "| training s |" in text
    assert f"{trained['break_even']['slow']:,} against `slow`" in text
    assert "- `ptame`: no break-even, as its training was not recorded." in text
    page = (tmp_path / "report.html").read_text()
    assert f"{trained['break_even']['slow']:,} against <code>slow</code>" in page
    assert '<td data-value="">unknown</td>' in page


def test_curves_have_the_areas_that_the_table_has_also_when_stopped_and_gone_on(
    classifier, batches, tmp_path
):
    stops = [False, True, False, False]

    def stopping(images, labels):
        if stops.pop(0):
            raise KeyboardInterrupt
        return centre_gaussian(images)

    methods = {"gaussian": stopping}
    evaluator = Evaluator(classifier, methods, ["insertion", "deletion"])
    comparison = Comparison(evaluator, methods, batches, {}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        comparison.run()
    found = comparison.run()
    (row,) = found.rows
    write_comparison(found, tmp_path)
    for metric in ("insertion", "deletion"):
        curve = row["curves"][metric]
        area = np.trapezoid(curve["mean"], curve["share"])
        assert row[metric] == pytest.approx(100 * area, abs=0.01)
        low, mean, high = (np.array(curve[name]) for name in ("low", "mean", "high"))
        assert (low <= mean).all()
        assert (mean <= high).all()
    assert stops == [False]
    assert "Curves" in (tmp_path / "report.html").read_text()


def test_figures_do_not_depend_on_the_batches(classifier, batches, tmp_path):
    together = [
        {
            "image": torch.cat([batch["image"] for batch in batches]),
            "key": [key for batch in batches for key in batch["key"]],
        }
    ]
    (one,) = compare(classifier, {"gaussian": gaussian}, batches, tmp_path / "1").run().rows
    (other,) = compare(classifier, {"gaussian": gaussian}, together, tmp_path / "2").run().rows
    assert one["average_drop"] == pytest.approx(other["average_drop"], rel=1e-4)


def test_image_on_which_a_method_fails_is_reported_and_the_others_are_scored(
    classifier, batches, tmp_path
):
    bad = batches[0]["image"][1]

    def picky(images, labels):
        if any(torch.equal(image, bad) for image in images):
            raise RuntimeError("cannot do this one")
        return centre_gaussian(images)

    (row,) = compare(classifier, {"picky": picky}, batches, tmp_path).run().rows
    assert row["failed"] == [{"key": "image1", "reason": "RuntimeError: cannot do this one"}]
    assert row["images"] == 4


def test_interrupted_comparison_goes_on_where_it_was(classifier, batches, tmp_path):
    seen = []

    def interrupted(images, labels):
        seen.append(len(images))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return centre_gaussian(images)

    with pytest.raises(KeyboardInterrupt):
        compare(classifier, {"gaussian": interrupted}, batches, tmp_path / "cut").run()
    (row,) = compare(classifier, {"gaussian": interrupted}, batches, tmp_path / "cut").run().rows
    assert seen == [3, 2, 2]  # the first batch is not explained again
    (whole,) = compare(classifier, {"gaussian": gaussian}, batches, tmp_path / "whole").run().rows
    assert row["average_drop"] == whole["average_drop"]
    assert row["average_gain_interval"] == whole["average_gain_interval"]


def test_passes_through_the_classifier_are_counted(classifier, batches, tmp_path):
    def thrice(images, labels):
        for _ in range(2):
            classifier(images)
        classifier.features(images, [-1])
        return centre_gaussian(images)

    (row,) = compare(classifier, {"thrice": thrice}, batches, tmp_path).run().rows
    assert row["classifier_passes_per_image"] == 3


def test_a_batch_of_which_no_image_can_be_read_is_passed_over(classifier, batches, tmp_path):
    nothing = {"image": batches[0]["image"][:0], "key": []}
    (whole,) = compare(classifier, {"gaussian": gaussian}, batches, tmp_path / "a").run().rows
    given = [nothing, *batches]
    (passed,) = compare(classifier, {"gaussian": gaussian}, given, tmp_path / "b").run().rows
    assert passed["average_gain"] == whole["average_gain"]
