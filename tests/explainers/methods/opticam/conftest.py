"""Classifiers and images in float64, as exactness is claimed."""

import pytest
import torch

from explainers import FrozenClassifier


@pytest.fixture(params=["test_resnet", "test_vit"])
def architecture(request):
    """One network with maps and one with tokens."""
    return request.param


@pytest.fixture
def classifier(source):
    """Random weights in float64; the last layer scaled up, to tell classes apart."""
    made = FrozenClassifier.of(source)
    torch.nn.init.normal_(made.model.get_classifier().weight, std=1.0)
    return made.double()


@pytest.fixture
def images():
    """Three images (3 3 64 96) in [0, 1], wider than high."""
    return torch.rand(3, 3, 64, 96, dtype=torch.float64)
