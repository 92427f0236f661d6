import math
from dataclasses import replace

import pytest
import torch

from explainers import FrozenClassifier
from explainers.errors import InputError
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.records import annotate
from explainers.evaluation.scoreboard import Scoreboard
from explainers.images.normalisation import min_max
from explainers.metrics import CHOICES
from explainers.metrics.class_sensitivity import least_likely_class, random_class, second_class
from explainers.metrics.max_sensitivity import max_sensitivity

PLACES = ["energy_pointing", "pointing", "box_iou", "max_box_accuracy"]
PLACES += ["pixel_accuracy", "mean_iou", "mean_average_precision"]


class Sum:
    """Logits (the sum of the pixels, 0); counts the images that it is shown."""

    shown = 0

    def __call__(self, images):
        self.shown += len(images)
        total = images.flatten(1).sum(1)
        return torch.stack([total, torch.zeros_like(total)], dim=1)


def case(scores, classifier=None):
    images = torch.full((len(scores), 3, 4, 4), 1 / 48)  # each sums to 1
    return ExplainedBatch(
        images,
        torch.zeros(len(scores), dtype=torch.int64),
        scores,
        min_max(scores),
        classifier or Sum(),
        lambda images, labels: images[:, :1],
    )


def half(count=1):
    """Scores (count 1 4 4) that are 1 in the left half and 0 in the right."""
    scores = torch.zeros(count, 1, 4, 4)
    scores[..., :2] = 1
    return scores


def test_figures_come_out_by_hand():
    scoreboard = Scoreboard(["average_drop", "average_increase", "average_gain"])
    scoreboard.update(case(half(3)))
    # The image's logit is 1, of its left half 0.5: p = sigmoid(1), o = sigmoid(0.5).
    before, after = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-0.5))
    assert scoreboard.compute() == {
        "average_drop": pytest.approx(100 * (before - after) / before, rel=1e-5),
        "average_increase": 0,
        "average_gain": 0,
    }


def test_figures_of_the_highest_share_come_out_by_hand():
    # Of the map 0, 1, ... 15 fifteenths, 8 pixels or 2 (2.4) stay: (8 + ... + 15) / 15 = 92 / 15
    # and (14 + 15) / 15 sixteenths of the image's logit, which is 1.
    scores = torch.arange(16.0).view(1, 1, 4, 4)
    scoreboard = Scoreboard(["average_drop_50", "average_drop_15", "average_increase_15"])
    scoreboard.update(case(scores))
    before = 1 / (1 + math.exp(-1))
    half, least = (1 / (1 + math.exp(-logit)) for logit in (92 / 240, 29 / 240))
    assert scoreboard.compute() == {
        "average_drop_50": pytest.approx(100 * (before - half) / before, rel=1e-5),
        "average_drop_15": pytest.approx(100 * (before - least) / before, rel=1e-5),
        "average_increase_15": 0,
    }


def test_metrics_share_what_they_show():
    classifier = Sum()
    Scoreboard(["average_drop", "average_increase", "average_gain"]).update(
        case(half(), classifier)
    )
    assert classifier.shown == 2  # the image and the masked image


def test_constant_and_broken_maps_are_left_out_and_have_no_value():
    scores = torch.cat([half(), torch.ones(1, 1, 4, 4), half().fill_(torch.nan), half()])
    scoreboard, alone = Scoreboard(["average_drop"]), Scoreboard(["average_drop"])
    values = scoreboard.update(case(scores))
    alone.update(case(half()))
    assert values["average_drop"].isnan().tolist() == [False, True, True, False]
    assert scoreboard.compute() == alone.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_only_unusable_maps_give_no_figure():
    scoreboard = Scoreboard(["average_drop"])
    assert scoreboard.update(case(torch.ones(2, 1, 4, 4)))["average_drop"].isnan().all()
    assert math.isnan(scoreboard.compute()["average_drop"])


def test_constant_maps_are_scored_where_they_are_meant():
    scoreboard = Scoreboard(["average_drop"], constant_maps=True)
    scoreboard.update(case(torch.ones(2, 1, 4, 4)))
    assert scoreboard.compute() == {"average_drop": 0}


def pointed(scores, mask):
    """A case of maps (b 1 h w) and masks, wider than high."""
    images = torch.rand(len(scores), 3, *scores.shape[-2:])
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return ExplainedBatch(
        images, labels, scores, min_max(scores), Sum(), lambda images, labels: images, mask
    )


def test_a_perfect_map_of_a_wide_image_scores_100_wherever_places_count():
    mask = torch.zeros(2, 1, 8, 14, dtype=torch.bool)
    mask[0, 0, 1:4, 6:13] = True
    mask[1, 0, 5:8, 0:2] = True
    scoreboard = Scoreboard(PLACES)
    scoreboard.update(pointed(mask.float(), mask))
    assert scoreboard.compute() == dict.fromkeys(PLACES, 100)
    turned = Scoreboard(PLACES)
    turned.update(pointed(mask.float().rot90(2, (2, 3)), mask))
    assert all(value < 100 for value in turned.compute().values())


@pytest.fixture
def everything():
    """A case for all metrics: a small network, and maps of two of its filters."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    )
    torch.nn.init.normal_(module[4].weight, std=5.0)
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 80])

    def explain(images, labels):
        maps = torch.nn.functional.conv2d(images, module[0].weight, padding=2)
        return maps[torch.arange(len(images)), labels][:, None]

    images = torch.rand(4, 3, 64, 80)
    labels = classifier(images).argmax(dim=1)
    scores = explain(images, labels)
    mask = torch.rand(4, 1, 64, 80) > 0.7
    return ExplainedBatch(
        images,
        labels,
        scores,
        min_max(scores),
        classifier,
        explain,
        mask,
        other_mask=~mask,
        judge=classifier,  # any network will do
    )


def _of_references(metric):
    """Whether it asks for embeddings, or for similarities: the targets are no labels then."""
    return "embed" in getattr(metric, "takes", ()) or getattr(metric, "reads", "") == "similarity"


OF_LABELS = [name for name in CHOICES if not _of_references(CHOICES[name]())]
OF_REFERENCES = [name for name in CHOICES if _of_references(CHOICES[name]())]


def test_precision_of_the_caller_does_not_matter(everything):
    expected, actual = Scoreboard(OF_LABELS), Scoreboard(OF_LABELS)
    values = expected.update(everything)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fresh = replace(everything)  # nothing is cached on it
        assert fresh.classifier(fresh.images).dtype == torch.bfloat16
        under_autocast = actual.update(fresh)
    for name, value in values.items():
        assert torch.equal(under_autocast[name], value), name
    assert actual.compute() == expected.compute()


def test_broken_and_constant_maps_are_counted_and_in_no_figure(everything):
    scores = everything.scores.clone()
    scores[1], scores[2, 0, 3, 4] = 0.3, torch.nan
    broken = replace(everything, scores=scores, maps=min_max(scores))
    with_them, without = Scoreboard(OF_LABELS), Scoreboard(OF_LABELS)
    values = with_them.update(broken)
    without.update(everything.select(torch.tensor([True, False, False, True])))
    assert with_them.compute() == without.compute()
    assert values.pop("map_left_out").tolist() == [0, 1, 1, 0]
    for name, value in values.items():
        assert value.isnan().tolist() == [False, True, True, False], name
    records = [
        {"map_left_out": float(left_out), "average_drop": float(drop)}
        for left_out, drop in zip([0, 1, 1, 0], values["average_drop"], strict=True)
    ]
    row = annotate({"explainer": "broken", "average_drop": 1.0, "mean_iou": 2.0}, records)
    assert row["maps_left_out"] == 2
    assert row["undefined"] == {"average_drop": 2}


def test_metrics_of_similarities_leave_broken_and_constant_maps_out(everything):
    references = everything.images.flip(0).mean(dim=(2, 3))
    scores = everything.scores.clone()
    scores[1], scores[2, 0, 3, 4] = 0.3, torch.nan
    embed = lambda images: images.mean(dim=(2, 3))
    case = replace(everything, labels=references, embed=embed, scores=scores, maps=min_max(scores))
    with_them, without = Scoreboard(OF_REFERENCES), Scoreboard(OF_REFERENCES)
    values = with_them.update(case)
    without.update(case.select(torch.tensor([True, False, False, True])))
    assert with_them.compute() == without.compute()
    for name in OF_REFERENCES:
        assert values[name].isnan().tolist() == [False, True, True, False], name


def test_metrics_of_the_other_kind_of_target_are_refused(everything):
    with pytest.raises(InputError, match="similarity_insertion asks for the similarity to a ref"):
        Scoreboard(["similarity_insertion"]).update(everything)
    references = replace(everything, labels=torch.rand(4, 3), embed=lambda images: images)
    with pytest.raises(InputError, match="insertion asks for the probability of a class"):
        Scoreboard(["insertion"]).update(references)


def test_what_metrics_ask_of_the_explainer_is_what_their_functions_define(everything):
    case, logits = everything, everything.classifier(everything.images)
    for name, choose in (
        ("second", second_class), ("random", random_class), ("least_likely", least_likely_class)
    ):  # fmt: skip
        expected = case.explain(case.images, choose(logits))
        assert torch.equal(getattr(case, f"scores_of_{name}_class"), expected)
    expected = max_sensitivity(case.explain, case.images, case.labels)
    assert torch.equal(case.sensitivity, expected)
    before = case.classifier.fingerprint()
    assert case.randomised_scores.shape == (4, 2, 64, 80)  # the linear layer, the filters
    assert torch.equal(case.randomised_scores[:, :1], case.scores)  # which read filters alone
    assert not torch.allclose(case.randomised_scores[:, 1:], case.scores)
    assert case.classifier.fingerprint() == before


def test_unknown_metric_is_answered_with_the_closest():
    with pytest.raises(InputError, match="unknown metric 'averagedrop'; did you mean average_drop"):
        Scoreboard(["averagedrop"])


def test_min_max_stretches_each_map_and_clamps_constant_ones():
    scores = torch.tensor([[-1.0, 0, 3], [5, 5, 5], [0.5, 0.5, 0.5]]).view(3, 1, 1, 3)
    assert min_max(scores).flatten(1).tolist() == [[0, 0.25, 1], [1, 1, 1], [0.5, 0.5, 0.5]]
