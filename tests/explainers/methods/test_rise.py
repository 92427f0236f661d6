"""RISE on classifiers whose maps are known."""

import pytest
import torch
from torch import nn

from explainers import RISE, FrozenClassifier
from explainers.errors import InputError


class OnePixel(nn.Module):
    """Class 1 has the logit of one pixel's brightness, class 0 has 0."""

    def forward(self, images):
        seen = 20 * images[:, 0, 9, 22] - 10
        return torch.stack([torch.zeros_like(seen), seen], dim=1)


@pytest.fixture
def classifier():
    return FrozenClassifier(OnePixel(), mean=[0.0] * 3, std=[1.0] * 3, size=[28, 42])


def test_map_is_the_weighted_mean_of_the_masks(classifier):
    explainer = RISE(classifier, masks=10, chunk_size=4)
    images, target = torch.rand(2, 3, 28, 42), torch.tensor([1, 0])
    masks = torch.cat(list(explainer._masks((28, 42))))
    assert masks.shape == (10, 1, 28, 42)
    expected = torch.zeros(2, 1, 28, 42)
    for index in range(2):
        for mask in masks:
            logits = classifier((images[index] * mask)[None])
            expected[index] += logits.softmax(dim=1)[0, target[index]] * mask / (10 * 0.5)
    torch.testing.assert_close(explainer(images, target), expected)


def test_the_pixel_that_decides_is_in_the_brightest_place(classifier):
    scores = RISE(classifier, masks=2000)(torch.ones(1, 3, 28, 42), torch.tensor([1]))
    row, column = divmod(int(scores.argmax()), 42)
    assert abs(row - 9) <= 2
    assert abs(column - 22) <= 3


def test_masks_keep_their_share_and_do_not_depend_on_the_chunks(classifier):
    masks = torch.cat(list(RISE(classifier, masks=500, share=0.3)._masks((28, 42))))
    others = RISE(classifier, masks=500, share=0.3, chunk_size=7)._masks((28, 42))
    assert torch.equal(masks, torch.cat(list(others)))
    assert masks.mean() == pytest.approx(0.3, abs=0.02)
    assert masks.min() >= 0
    assert masks.max() <= 1


@pytest.mark.parametrize(
    "options", [{"masks": 0}, {"cells": 1}, {"share": 0}, {"share": 1.0}, {"chunk_size": 0}]
)
def test_settings_out_of_range_are_refused(classifier, options):
    (name,) = options
    with pytest.raises(InputError, match=f"{name} must be"):
        RISE(classifier, **options)
