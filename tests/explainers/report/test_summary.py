"""Parts of the summary of a comparison."""

import pytest

from explainers.report.summary import number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (20, "20"), (0.0094, "0.009"), (0.5, "0.50"), (9.96, "10.0"), (99.96, "100")],
)
def test_number_has_three_digits_or_fewer(value, text):
    assert number(value) == text
