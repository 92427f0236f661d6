"""A classifier that the packages' methods can tell classes of."""

import pytest
from torch import nn

from explainers import FrozenClassifier


@pytest.fixture(scope="session")
def decided():
    """Make a classifier whose last layer is scaled up: random weights tell classes apart."""

    def make(source):
        classifier = FrozenClassifier.of(source)
        nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
        return classifier

    return make
