"""The summary of a comparison: verdicts on the best method and the best baseline."""

import pytest

from explainers.report.summary import Note, Score, notes, number

METHOD = {"explainer": "grad_cam", "insertion": 50.0, "insertion_interval": [45.0, 55.0]}
BASELINE = {"explainer": "ones", "insertion": 30.0, "insertion_interval": [25.0, 35.0]}


def verdict(method, baseline, name="insertion"):
    (note,) = notes([METHOD | method, BASELINE | baseline], [name])
    return note.verdict


def test_note_holds_the_best_method_and_the_best_baseline():
    worse = METHOD | {"explainer": "lime", "insertion": 40.0}
    random = BASELINE | {"explainer": "random", "insertion": 10.0}
    assert notes([worse, METHOD, random, BASELINE], ["insertion"]) == [
        Note(
            "insertion", "apart",
            Score("grad_cam", "50.0 [45.0, 55.0]"), Score("ones", "30.0 [25.0, 35.0]"),
        )
    ]  # fmt: skip


def test_baseline_that_is_as_good_beats_the_methods():
    assert verdict({}, {"insertion": 50.0}) == "beaten"
    assert verdict({}, {"insertion": 49.9, "insertion_interval": [44.0, 60.0]}) == "close"


def test_lower_is_better_where_the_metric_says_so():
    scores = {"deletion": 9.0}, {"deletion": 10.0}
    assert verdict(*scores, "deletion") == "apart"
    assert verdict(*reversed(scores), "deletion") == "beaten"


def test_method_without_baselines_stands_alone():
    (note,) = notes([METHOD], ["insertion"])
    assert (note.verdict, note.baseline) == ("alone", None)


def test_metric_without_a_score_of_a_method_has_no_note():
    assert notes([METHOD | {"insertion": None}, BASELINE], ["insertion"]) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (20, "20"), (0.0094, "0.009"), (0.5, "0.50"), (9.96, "10.0"), (99.96, "100")],
)
def test_number_has_three_digits_or_fewer(value, text):
    assert number(value) == text
