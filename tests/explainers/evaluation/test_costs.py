"""What a training is worth, worked out by hand."""

import json

import pytest
import torch
from torch import nn

from explainers import PTAME, FrozenClassifier
from explainers.bundle.saving import save_bundle
from explainers.bundle.training_record import training_of
from explainers.evaluation.costs import (
    NO_TRAINING,
    Training,
    counted,
    device_name,
    duration,
    sentences,
    with_costs,
)
from explainers.report.table import table

CPU = "CPU, 2 threads"


def row(name, seconds, **more):
    return {"explainer": name, "seconds_per_image": seconds, "images": 4} | more


def costed(training, *others, device=CPU, seconds=0.5, **more):
    """The first of the rows of a trained method and of others that are not."""
    trainings = {"ours": training} | {other["explainer"]: NO_TRAINING for other in others}
    return with_costs([row("ours", seconds, **more), *others], trainings, device)[0]


def test_break_even_is_training_over_what_an_image_saves_rounded_up():
    opti_cam, score_cam, faster = row("opti_cam", 8.5), row("score_cam", 30.5), row("cam", 0.25)
    found = costed(Training(2404.0, CPU), opti_cam, score_cam, faster)
    # 2404 / (8.5 - 0.5) = 300.5, and 2404 / (30.5 - 0.5) = 80.13…; cam is cheaper.
    assert found["break_even"] == {"opti_cam": 301, "score_cam": 81}
    assert found["training_seconds"] == 2404
    assert found["training_device"] == CPU


def test_a_number_of_images_that_comes_out_even_is_not_raised():
    assert costed(Training(80.0, CPU), row("other", 8.5))["break_even"] == {"other": 10}


def test_the_break_even_is_where_the_total_costs_meet():
    """Against a slow reference: images one by one, until the trained method is no dearer."""
    found = costed(Training(97.0, CPU), row("other", 3.25))["break_even"]["other"]
    ours, theirs, images = 97.0, 0.0, 0
    while ours > theirs:
        ours, theirs, images = ours + 0.5, theirs + 3.25, images + 1
    assert found == images


def test_what_was_not_trained_has_nothing_to_be_paid_for():
    found = costed(NO_TRAINING, row("other", 8.5))
    assert found["training_seconds"] == 0
    assert found["break_even"] == {}
    assert "training_device" not in found


@pytest.mark.parametrize(
    ("training", "more", "reason"),
    [
        (Training(), {}, "its training was not recorded"),
        (Training(9.0, "H200"), {}, "trained on H200, and timed on CPU, 2 threads"),
        (Training(9.0, f"{CPU}; H200"), {}, "trained on CPU, 2 threads; H200, and timed on"),
        (Training(9.0), {}, "trained on an unknown device"),
        (Training(9.0, CPU), {"images": 0}, "it failed on all images"),
    ],
)
def test_where_there_is_no_break_even_the_reason_is_told(training, more, reason):
    found = costed(training, row("other", 8.5), **more)
    assert found["break_even"] is None
    assert reason in found["break_even_left_out"]
    assert found["training_seconds"] == training.seconds
    (said,) = sentences([found])
    assert reason in said


def test_the_sentence_names_the_nearest_break_even_first():
    opti_cam, score_cam = row("opti_cam", 8.5), row("score_cam", 30.5)
    (said,) = sentences([costed(Training(24000.0, CPU), opti_cam, score_cam)])
    assert said == (
        "`ours` took 6.7 h on CPU, 2 threads to train; images after which that is paid for: "
        "800 against `score_cam`, 3,000 against `opti_cam`."
    )
    assert list(sentences([costed(Training(9.0, CPU))])) == [
        "`ours` took 9.0 s on CPU, 2 threads to train; no row costs more an image."
    ]
    assert list(sentences([costed(NO_TRAINING)])) == []


def test_the_table_shows_whole_seconds_and_what_is_unknown_also_in_its_first_row():
    trainings = {"ours": Training(), "theirs": Training(37.6, CPU)}
    text = table(with_costs([row("ours", 0.5), row("theirs", 1.0)], trainings, CPU)).splitlines()
    assert text[0].split("|")[-2].strip() == "training s"
    assert [line.split("|")[-2].strip() for line in text[2:]] == ["unknown", "38"]


def test_trainings_add_up_unless_one_is_not_known():
    both = Training(3.0, "A") + Training(4.0, "B") + Training(1.0, "A")
    assert both == Training(8.0, "A; B")
    assert (NO_TRAINING + Training(4.0, "B")).device == "B"
    assert (both + Training()).seconds is None


@pytest.mark.parametrize(
    "seconds", [None, "a lot", -1, float("nan"), float("inf"), [3]], ids=lambda value: str(value)
)
def test_seconds_that_are_none_count_as_not_recorded(seconds):
    assert Training.of_record({"seconds": seconds, "device": "A"}) == Training(None, "A")


def test_a_record_is_read_as_it_was_written():
    assert Training.of_record(Training(12.3, CPU).record) == Training(12.3, CPU)
    assert Training.of_record(json.loads(json.dumps(Training().record))) == Training()


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ({"steps": 3}, Training()),
        ({"seconds since it was last resumed": 30}, Training()),
        ({"seconds": 30, "device": CPU}, Training(30.0, CPU)),
        (
            {"seconds": 30, "device": CPU, "start": {"seconds": 4.5, "device": "H200"}},
            Training(34.5, f"{CPU}; H200"),
        ),
        # Started from what an earlier version trained.
        (
            {"seconds": 30, "device": CPU, "start": {"seconds": None, "device": ""}},
            Training(None, CPU),
        ),
        ({"seconds": 30, "device": CPU, "init_from": "elsewhere"}, Training(None, CPU)),
    ],
)
def test_the_training_of_a_bundle_includes_that_of_its_start(recorded, expected, tmp_path):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    save_bundle(PTAME(source, source), tmp_path / "bundle", recorded, [], None)
    assert training_of(str(tmp_path / "bundle")) == expected


def test_images_that_enter_a_network_without_weights_are_counted():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = FrozenClassifier(network, mean=[0.0] * 3, std=[1.0] * 3, size=[8, 8])
    with counted(classifier) as passes:
        classifier(torch.rand(3, 3, 8, 8))
    classifier(torch.rand(2, 3, 8, 8))
    assert passes == [3]


def test_devices_in_words():
    assert device_name(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} thread"
    assert device_name(torch.device("meta"), processes=4) == "4 x meta"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.0, "9.0 s"), (119.0, "119 s"), (120.0, "2.0 min"), (7200.0, "2.0 h")],
)
def test_durations_are_in_the_unit_that_fits(seconds, words):
    assert duration(seconds) == words
