from explainers.report.headline import headline

DIRECTIONS = {"average_drop": False, "average_gain": True}


def records(**values):
    """One an image and method, with the same figures for both metrics."""
    return [
        {"key": str(index), "explainer": name, "average_drop": -value, "average_gain": value}
        for name, of in values.items()
        for index, value in enumerate(of)
    ]


def rows(found):
    names = dict.fromkeys(record["explainer"] for record in found)
    mean = {
        name: sum(one["average_gain"] for one in found if one["explainer"] == name) / 20
        for name in names
    }
    return [
        {"explainer": name, "average_gain": mean[name], "average_drop": -mean[name]}
        for name in names
    ]


def test_winner_is_told_with_what_is_beyond_chance():
    found = records(
        a=[5.0 + index % 3 for index in range(20)], b=[index % 3 for index in range(20)]
    )
    (sentence,) = headline(rows(found), [], found, DIRECTIONS)
    assert sentence == (
        "Better than every other method by more than chance: `a` in average drop, average gain."
    )


def test_difference_within_chance_and_metric_that_a_baseline_wins_are_told():
    found = records(
        a=[float(index % 2) for index in range(20)],
        b=[(index + 1) % 2 - 0.01 for index in range(20)],
    )
    nothing = [{"explainer": "ones", "average_drop": -9.0, "average_gain": 0.0}]
    first, second = headline(rows(found), nothing, found, DIRECTIONS)
    assert first == "No method beats all others by more than chance; `a` is best in 1 of 1 metrics."
    assert "as good as the best method in average drop (`ones`): do not rank" in second


def test_one_method_wins_nothing():
    assert headline(rows(records(a=[1.0] * 20)), [], [], DIRECTIONS) == []
