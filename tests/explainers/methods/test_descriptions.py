"""Every method says what it is, and is at most three classes deep."""

import pytest

from explainers import Explainer
from explainers.methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_method_has_a_title_a_docstring_and_papers_or_says_that_there_are_none(name):
    kind = METHODS[name]
    assert kind.title
    assert kind.__doc__
    defined_by = next(part for part in kind.__mro__ if "papers" in vars(part))
    assert defined_by is not Explainer
    assert all(paper.key and paper.title and paper.authors and paper.arxiv for paper in kind.papers)


@pytest.mark.parametrize("name", METHODS)
def test_method_is_at_most_three_classes_deep(name):
    classes = METHODS[name].__mro__
    ours = classes[: classes.index(Explainer) + 1]
    assert len(ours) <= 3, [one.__name__ for one in ours]
