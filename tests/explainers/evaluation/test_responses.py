"""On a classifier whose first logit is the sum of the pixels, responses come out by hand."""

import pytest
import torch

from explainers.evaluation.responses import sweep
from explainers.metrics.parts.perturbations import Kept, Whole, highest


class Sum:
    """Logits (the sum of the pixels, 0); counts what it is shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, images):
        self.shown.append(len(images))
        total = images.flatten(1).sum(1)
        return torch.stack([total, torch.zeros_like(total)], dim=1)


@pytest.fixture
def batch():
    """Five images, their maps, and the target 0."""
    return torch.rand(5, 3, 4, 6), torch.rand(5, 1, 4, 6), torch.zeros(5, dtype=torch.int64)


@pytest.mark.parametrize("chunk_size", [1, 3, 5, 64])
def test_responses_do_not_depend_on_the_chunks(batch, chunk_size):
    images, maps, labels = batch
    classifier = Sum()
    responses = sweep(classifier, [Whole(), Kept(), Kept(50)], images, maps, labels, chunk_size)
    logits = images.flatten(1).sum(1)
    torch.testing.assert_close(responses[Whole()].logit, logits[:, None])
    torch.testing.assert_close(responses[Whole()].probability, logits.sigmoid()[:, None])
    kept = (images * maps).flatten(1).sum(1)
    torch.testing.assert_close(responses[Kept()].logit, kept[:, None])
    assert max(classifier.shown) <= chunk_size
    assert sum(classifier.shown) == 3 * 5


def test_equal_perturbations_are_shown_once(batch):
    classifier = Sum()
    sweep(classifier, [Whole(), Kept(100.0), Kept(), Whole()], *batch)
    assert sum(classifier.shown) == 2 * 5


def test_hit_says_whether_the_target_is_predicted(batch):
    images, maps, labels = batch
    responses = sweep(Sum(), [Whole()], images, maps, labels)
    assert responses[Whole()].hit.tolist() == [[1.0]] * 5
    responses = sweep(Sum(), [Whole()], images, maps, labels + 1)
    assert responses[Whole()].hit.tolist() == [[0.0]] * 5


def test_float32_is_kept_under_autocast(batch):
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 2))
    expected = sweep(classifier, [Whole()], *batch)[Whole()].logit
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = sweep(classifier, [Whole()], *batch)[Whole()].logit
    assert torch.equal(actual, expected)


def test_nothing_asked_nothing_shown(batch):
    assert sweep(Sum(), [], *batch) == {}


@pytest.mark.parametrize(("percent", "count"), [(100, 24), (50, 12), (15, 4), (0, 0)])
def test_exactly_the_highest_share_of_a_map_stays(percent, count):
    maps = torch.rand(2, 1, 4, 6) + 0.1
    left = highest(maps, percent)
    for one, original in zip(left, maps, strict=True):
        assert (one > 0).sum() == count
        expected = set(original.flatten().topk(count).indices.tolist())
        assert set(one.flatten().nonzero()[:, 0].tolist()) == expected


def test_of_equal_pixels_the_first_stay():
    left = highest(torch.ones(1, 1, 2, 4), 50)
    assert left.flatten().tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
