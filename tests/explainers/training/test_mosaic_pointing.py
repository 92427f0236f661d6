"""Grid pointing on images of one shade each, whose class is the shade."""

from types import SimpleNamespace

import pytest
import torch

from explainers.training.mosaic_pointing import mosaic_pointing

SHADES = torch.tensor([0.1, 0.35, 0.6, 0.85])


class Classifier:
    """Logits by how near the mean of an image is to each shade."""

    def __init__(self, sureness):
        self.sureness = sureness
        self.decision = SimpleNamespace(
            probability_of=lambda labels, logits: logits.softmax(1).gather(1, labels[:, None])[:, 0]
        )

    def __call__(self, images):
        return -self.sureness * (images.mean(dim=(1, 2, 3))[:, None] - SHADES).square()


class Shades:
    """An explainer that draws the pixels of the class's shade."""

    def __init__(self, sureness=1e4):
        self.classifier = Classifier(sureness)

    def __call__(self, images, labels):
        return ((images[:, :1] - SHADES[labels][:, None, None, None]).abs() < 0.05).float()


@pytest.fixture
def images():
    return SHADES[:, None, None, None].expand(4, 3, 16, 16).clone()


def test_maps_of_the_cell_of_the_class_score_a_hundred(images):
    shares = mosaic_pointing(Shades(), images, 6)
    assert len(shares)
    assert torch.equal(shares, torch.full_like(shares, 100))


def test_maps_that_do_not_depend_on_the_class_score_chance(images, monkeypatch):
    monkeypatch.setattr(Shades, "__call__", lambda self, images, _: torch.ones_like(images[:, :1]))
    shares = mosaic_pointing(Shades(), images, 6)
    assert torch.equal(shares, torch.full_like(shares, 25))


def test_cells_that_another_one_equals_are_left_out():
    one = SHADES[:1, None, None, None].expand(4, 3, 16, 16).clone()
    assert not len(mosaic_pointing(Shades(), one, 6))


def test_cells_of_unsure_classes_are_left_out(images):
    assert not len(mosaic_pointing(Shades(sureness=0.1), images, 6))
