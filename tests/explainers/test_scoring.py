import math

import pytest
import torch

from explainers.errors import InputError
from explainers.scoring import Case, Scoreboard, min_max


class Sum:
    """Logits (the sum of the pixels, 0); counts the images that it is shown."""

    shown = 0

    def __call__(self, images):
        self.shown += len(images)
        total = images.flatten(1).sum(1)
        return torch.stack([total, torch.zeros_like(total)], dim=1)


def case(scores, classifier=None):
    images = torch.full((len(scores), 3, 4, 4), 1 / 48)  # each sums to 1
    return Case(
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


def test_unknown_metric_is_answered_with_the_closest():
    with pytest.raises(InputError, match="unknown metric 'averagedrop'; did you mean average_drop"):
        Scoreboard(["averagedrop"])


def test_min_max_stretches_each_map_and_clamps_constant_ones():
    scores = torch.tensor([[-1.0, 0, 3], [5, 5, 5], [0.5, 0.5, 0.5]]).view(3, 1, 1, 3)
    assert min_max(scores).flatten(1).tolist() == [[0, 0.25, 1], [1, 1, 1], [0.5, 0.5, 0.5]]
