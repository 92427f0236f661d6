"""Metrics under other fills."""

import pytest
import torch

from explainers.errors import InputError
from explainers.evaluation.metric_fills import build_metric, under_fills
from explainers.evaluation.responses import sweep
from explainers.images.pixel_removal import mean


def test_a_metric_is_taken_under_each_fill_by_its_own_name_where_it_is_its_own():
    names = ["average_drop", "insertion", "compactness", "deletion@noise"]
    assert under_fills(names, ["black", "mean"]) == [
        "average_drop",
        "average_drop@mean",
        "insertion@black",
        "insertion@mean",
        "compactness",
        "deletion@noise",
    ]


class Channels(torch.nn.Module):
    """Logits: the mean of each of the three channels, ten times."""

    def forward(self, images):
        return 10 * images.mean((2, 3))


@pytest.mark.parametrize("name", ["average_drop@mean", "deletion@mean", "insertion@mean"])
def test_removed_pixels_are_filled(name):
    metric = build_metric(name)
    images, maps = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
    labels = torch.tensor([0, 2])
    responses = sweep(Channels(), metric.needs, images, maps, labels)
    found = responses[metric.needs[-1]].probability
    fill = mean(images)
    if name.startswith("average_drop"):
        shown = images * maps + fill * (1 - maps)
        expected = Channels()(shown).softmax(1).gather(1, labels[:, None])
        torch.testing.assert_close(found, expected)
    else:
        emptied = Channels()(fill.expand_as(images)).softmax(1).gather(1, labels[:, None])[:, 0]
        torch.testing.assert_close(found[:, -1 if "deletion" in name else 0], emptied)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("average_dropp@mean", "unknown metric 'average_dropp'; did you mean average_drop"),
        ("average_drop@maen", "unknown fill 'maen'; did you mean mean"),
        ("compactness@mean", "compactness removes no pixels"),
    ],
)
def test_bad_name_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        build_metric(name)
