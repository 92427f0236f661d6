"""RISE against a slow version of its definition, pixel by pixel."""

import pytest
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.baselines import RISE
from explainers.errors import InputError, TargetError
from explainers.export.graph import require_single_pass


@pytest.fixture
def classifier(decided):
    return decided({"model": "test_resnet", "pretrained": False, "num_classes": 4})


def slow_mask(grid, top, left, height, width):
    """One mask: for each pixel, the bilinear mean of the four nearest cells' centres."""
    cells = len(grid)
    down, across = -(-height // cells), -(-width // cells)
    # The grid is enlarged to one cell more than it has.
    scales = [cells / ((cells + 1) * down), cells / ((cells + 1) * across)]
    mask = torch.zeros(height, width)
    for row in range(height):
        for column in range(width):
            value = 0.0
            y, x = (top + row + 0.5) * scales[0] - 0.5, (left + column + 0.5) * scales[1] - 0.5
            y, x = max(y, 0.0), max(x, 0.0)
            for i in (int(y), int(y) + 1):
                for j in (int(x), int(x) + 1):
                    weight = (1 - abs(y - i)) * (1 - abs(x - j))
                    value += weight * float(grid[min(i, cells - 1)][min(j, cells - 1)])
            mask[row, column] = value
    return mask


def test_scores_are_those_of_the_definition(classifier, labels):
    images = torch.rand(2, 3, 32, 45)
    explainer = RISE(classifier, masks=5, cells=4, keep_probability=0.3, seed=3, chunk_size=2)
    generator = torch.Generator().manual_seed(3)
    grids = torch.rand(5, 1, 4, 4, generator=generator) < 0.3
    tops = torch.randint(8, (5,), generator=generator)
    lefts = torch.randint(12, (5,), generator=generator)
    expected = torch.zeros(2, 1, 32, 45)
    for grid, top, left in zip(grids[:, 0], tops.tolist(), lefts.tolist(), strict=True):
        mask = slow_mask(grid, top, left, 32, 45)
        for index, (image, label) in enumerate(zip(images, labels, strict=False)):
            probability = classifier((image * mask)[None]).softmax(1)[0, label]
            expected[index, 0] += probability.detach() * mask / (5 * 0.3)
    torch.testing.assert_close(explainer(images, labels[:2]), expected, rtol=1e-4, atol=1e-5)


def test_one_mask_that_keeps_all_scores_every_pixel_with_the_probability(
    classifier, images, labels
):
    scores = RISE(classifier, masks=1, keep_probability=1.0)(images, labels)
    probabilities = classifier(images).softmax(1).gather(1, labels[:, None])
    torch.testing.assert_close(scores, probabilities[..., None, None].expand_as(scores).detach())


def test_pixels_that_decide_are_found(labels):
    """A network whose logit is the mean of the top left quarter."""
    module = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(3 * 4, 2))
    with torch.no_grad():
        module[2].weight.zero_()
        module[2].bias.copy_(torch.tensor([-1.5, 0.0]))
        module[2].weight.view(2, 3, 2, 2)[0, :, 0, 0] = 1.0
    classifier = FrozenClassifier(module, mean=[0.0] * 3, std=[1.0] * 3, size=[64, 64])
    scores = RISE(classifier, masks=300, cells=4)(torch.ones(1, 3, 64, 64), torch.tensor([0]))
    quarters = nn.functional.avg_pool2d(scores, 32)[0, 0]
    assert quarters[0, 0] > 1.1 * quarters.flatten()[1:].max()


def test_contract(classifier, images, labels, assert_untouched):
    fingerprint = classifier.fingerprint()
    explainer = RISE(classifier, masks=7).train()
    state = torch.get_rng_state()
    scores = explainer(images, labels)
    assert explainer.training
    assert scores.shape == (3, 1, 96, 128)
    assert scores.dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(explainer(images[1:2], labels[1:2]), scores[1:2])
    assert not torch.allclose(explainer(images, (labels + 1) % 4), scores)
    for options in ({"chunk_size": 3}, {"seed": 1}):
        other = RISE(classifier, masks=7, **options)(images, labels)
        assert torch.allclose(other, scores, rtol=1e-4) == ("chunk_size" in options)
    with torch.inference_mode():
        torch.testing.assert_close(explainer(images, labels).clone(), scores)
    with pytest.raises(TargetError, match="class labels"):
        explainer(images, torch.randn(3, 96))
    with pytest.raises(InputError, match="cannot be exported: it takes a pass"):
        require_single_pass(explainer)
    assert_untouched(classifier, fingerprint)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("masks", 0, "masks must be a whole number from 1"),
        ("cells", 2.5, "cells must be a whole number from 1"),
        ("keep_probability", 0.0, "keep_probability must be a finite number above 0 and at most 1"),
        ("seed", -1, "seed must be a whole number from 0"),
    ],
)
def test_number_out_of_its_range_is_refused(option, value, rule):
    with pytest.raises(InputError, match=rule):
        RISE({"model": "test_resnet", "pretrained": False}, **{option: value})
