"""What the tests share: a seed, one thread, three tiny classifiers and images for them."""

import pytest
import torch

# On a busy machine, threads that wait for each other make these tiny models 20 times slower.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Fast tests first, whatever is selected."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=["test_resnet", "test_vit", "test_convnext"])
def architecture(request):
    """Convolutional, transformer and in between, each of under 500,000 weights."""
    return request.param


@pytest.fixture
def source(architecture):
    """A classifier's source with random weights and 4 classes."""
    return {"model": architecture, "pretrained": False, "num_classes": 4}


@pytest.fixture
def images():
    """Three images (3 3 96 128) in [0, 1], wider than high."""
    return torch.rand(3, 3, 96, 128)


@pytest.fixture
def labels():
    return torch.tensor([0, 2, 3])
