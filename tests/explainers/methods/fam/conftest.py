"""A classifier, images and feature maps in float64, as exactness is claimed."""

import pytest
import torch

from explainers import FrozenClassifier


@pytest.fixture
def network(source):
    return FrozenClassifier.of(source).double()


@pytest.fixture
def queries():
    """Two images (2 3 96 128) of noise in [0, 1], float64, wider than high."""
    return torch.rand(2, 3, 96, 128, dtype=torch.float64)


@pytest.fixture
def supports():
    """Two other images, higher than wide."""
    return torch.rand(2, 3, 128, 64, dtype=torch.float64)


@pytest.fixture
def maps():
    return torch.rand(2, 6, 3, 4, dtype=torch.float64)
