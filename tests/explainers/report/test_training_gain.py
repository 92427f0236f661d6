import pytest

from explainers.evaluation.paired import paired_difference
from explainers.report.training_gain import training_gain


def records(name, drops):
    return [
        {"explainer": name, "key": str(key), "average_drop": drop, "map_area": 0.5}
        for key, drop in enumerate(drops)
    ]


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ([10.0, 19.0, 28.0], "better"),  # less drop
        ([30.0, 41.0, 52.0], "worse"),
        ([10.0, 41.0, 30.0], "within chance"),
    ],
)
def test_verdict_on_the_paired_interval(after, verdict):
    both = records("before_training", [20.0, 30.0, 40.0]) + records("tame", after)
    change = paired_difference(both, "tame", "before_training", "average_drop")
    assert training_gain(both, "tame", ["average_drop"]) == (
        f"training changed average drop by {change.mean:+.1f} "
        f"[{change.low:.1f}, {change.high:.1f}]: {verdict}"
    )


def test_nothing_is_said_without_a_start_or_a_direction():
    alone = records("tame", [1.0])
    assert training_gain(alone, "tame", ["average_drop"]) == ""
    both = alone + records("before_training", [2.0])
    assert training_gain(both, "tame", ["map_area"]) == ""
