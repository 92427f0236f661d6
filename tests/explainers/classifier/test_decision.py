"""Readings of logits, by hand."""

import math

import pytest
import torch

from explainers.classifier.decision import Decision
from explainers.errors import InputError

LOGITS = torch.tensor([[0.0, math.log(3.0), -math.log(3.0)], [-5.0, -4.0, -6.0]])
SOFTMAX, SIGMOID = Decision(), Decision("sigmoid")


def test_probabilities_by_hand():
    # exp: 1, 3, 1/3 of 13/3; sigmoid: 1/2, 3/4, 1/4.
    found = [one.probabilities(LOGITS)[0].tolist() for one in (SOFTMAX, SIGMOID)]
    assert found[0] == pytest.approx([3 / 13, 9 / 13, 1 / 13])
    assert found[1] == pytest.approx([1 / 2, 3 / 4, 1 / 4])
    for one in (SOFTMAX, SIGMOID):
        torch.testing.assert_close(one.log_probabilities(LOGITS).exp(), one.probabilities(LOGITS))
        labels = torch.tensor([1, 2])
        expected = one.probabilities(LOGITS)[[0, 1], labels]
        torch.testing.assert_close(one.probability_of(labels, LOGITS), expected)


@pytest.mark.parametrize("decision", [SOFTMAX, SIGMOID])
def test_log_odds_are_those_of_the_probability(decision):
    labels = torch.tensor([1, 0])
    expected = decision.probability_of(labels, LOGITS.double()).logit()
    torch.testing.assert_close(decision.log_odds(labels, LOGITS.double()), expected)


def test_shown_classes_are_the_likeliest_and_those_over_the_threshold():
    assert SOFTMAX.shown(LOGITS).int().tolist() == [[0, 1, 0], [0, 1, 0]]
    assert SIGMOID.shown(LOGITS).int().tolist() == [[1, 1, 0], [0, 1, 0]]
    assert Decision("sigmoid", 0.2).shown(LOGITS).int().tolist() == [[1, 1, 1], [0, 1, 0]]
    assert SIGMOID.shown(LOGITS[:, :0]).shape == (2, 0)


@pytest.mark.parametrize("decision", [SOFTMAX, SIGMOID])
def test_divergence_is_the_literal_sum(decision):
    before, after = torch.randn(2, 3, 4, dtype=torch.float64).unbind()
    expected = 0.0
    for p, q in zip(*(decision.probabilities(one) for one in (before, after)), strict=True):
        expected += float((p * (p / q).log()).sum())
        if decision is SIGMOID:
            expected += float(((1 - p) * ((1 - p) / (1 - q)).log()).sum())
    assert float(decision.divergence(before, after)) == pytest.approx(expected / 3)


def test_half_precision_is_read_in_single():
    assert SIGMOID.probabilities(LOGITS.half()).dtype == torch.float32
    assert SOFTMAX.log_probabilities(LOGITS.half()).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sofmax",), "unknown activation 'sofmax'; did you mean softmax"),
        ((None,), "unknown activation 'None'"),
        (("sigmoid", 1.5), "threshold must be a finite number .* got 1.5"),
        (("sigmoid", "high"), "threshold must be a finite number"),
    ],
)
def test_bad_reading_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Decision(*arguments)
