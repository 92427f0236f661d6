"""Verdicts of a comparison in words."""

from explainers.evaluation.ranks import rank
from explainers.report.verdicts import verdicts

DIRECTIONS = {"average_drop": False, "average_drop@mean": False}


def rows_and_records(figures):
    """Rows, and records of ten images whose values lie closely around a row's figure."""
    rows = [{"explainer": name} | values for name, values in figures.items()]
    records = [
        {"explainer": name, "key": f"{index}"}
        | {metric: value + 0.1 * (index % 3 - 1) for metric, value in values.items()}
        for name, values in figures.items()
        for index in range(10)
    ]
    return rows, records


def test_winner_is_told_with_what_it_beats_by_more_than_chance():
    rows, records = rows_and_records(
        {name: {"average_drop": v} for name, v in (("a", 1.0), ("b", 5.0), ("c", 1.0))}
    )
    records[25]["average_drop"] += 3.0  # c differs from a on one image alone
    rows[2]["average_drop"] += 0.3
    (found,) = verdicts(rows, [], records, {"average_drop": False}, None)
    assert found.startswith("`average_drop`: best is `a` (1.00), by more than chance over `b`; ")
    assert "not by more than chance over `c` (difference -0.30 [" in found


def test_nobody_wins_where_all_are_the_same():
    metrics = {"average_drop": 0.0, "average_drop@mean": 0.0}
    rows, records = rows_and_records({"a": metrics, "b": metrics})
    assert verdicts(rows, [], records, DIRECTIONS, None) == [
        "`average_drop`: all methods have 0.00.",
        "`average_drop@mean`: all methods have 0.00.",
    ]


def test_baseline_that_is_as_good_is_named():
    rows, records = rows_and_records({"a": {"average_drop": 4.0}, "ones": {"average_drop": 0.0}})
    (found,) = verdicts(rows[:1], rows[1:], records, {"average_drop": False}, None)
    assert "`ones`, which explains nothing, has 0.00: do not rank by this metric alone." in found


def test_baseline_that_is_worse_is_named_with_what_the_images_tell():
    rows, records = rows_and_records({"a": {"average_drop": 4.0}, "random": {"average_drop": 9.0}})
    (found,) = verdicts(rows[:1], rows[1:], records, {"average_drop": False}, None)
    assert found.endswith("(4.00). `random`, which explains nothing, has 9.00.")
    records[15]["average_drop"] -= 60.0  # one image of ten decides
    rows[1]["average_drop"] -= 4.0
    (found,) = verdicts(rows[:1], rows[1:], records, {"average_drop": False}, None)
    assert "has 5.00, and these images do not tell them apart (difference 1.00 [" in found


def test_conclusion_that_depends_on_the_fill_says_so():
    figures = {
        "a": {"average_drop": 1.0, "average_drop@mean": 9.0},
        "b": {"average_drop": 2.0, "average_drop@mean": 3.0},
    }
    rows, records = rows_and_records(figures)
    found = verdicts(rows, [], records, DIRECTIONS, rank(rows, DIRECTIONS))
    assert found[2] == (
        "`average_drop`: which method is best depends on the fill: `a` by `average_drop`, `b` by "
        "`average_drop@mean`."
    )
    assert found[3].startswith("Mean rank over 2 metrics: `a` 1.50, `b` 1.50; the metrics agree by")
    assert "Kendall tau of -1.00" in found[3]
    figures["a"]["average_drop@mean"] = 1.0
    rows, records = rows_and_records(figures)
    found = verdicts(rows, [], records, DIRECTIONS, None)
    assert found[2] == "`average_drop`: `a` is best under each of 2 fills."


def test_fill_under_which_all_are_the_same_is_left_out():
    figures = {
        name: {"average_drop": 0.0, "average_drop@mean": value, "average_drop@blur": value}
        for name, value in (("a", 1.0), ("b", 2.0))
    }
    rows, records = rows_and_records(figures)
    directions = DIRECTIONS | {"average_drop@blur": False}
    found = verdicts(rows, [], records, directions, None)
    assert found[0] == "`average_drop`: all methods have 0.00."
    assert found[3] == "`average_drop`: `a` is best under each of 2 fills."
