import numpy as np
import pytest
import torch

from explainers.errors import InputError
from explainers.metrics.class_sensitivity import (
    ClassSensitivity,
    least_likely_class,
    random_class,
    second_class,
)

CHOICES = [second_class, least_likely_class, random_class]
LOGITS = torch.tensor([[0.0, 3.0, 2.0, -1.0], [9.0, -9.0, 1.0, 8.0]])


def test_second_and_least_likely_classes_are_known():
    assert second_class(LOGITS).tolist() == [2, 3]
    assert least_likely_class(LOGITS).tolist() == [3, 1]


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize("classes", [2, 5])
def test_other_class_is_never_the_predicted_one(choose, classes):
    logits = torch.cat([torch.randn(50, classes), torch.zeros(1, classes)])
    chosen = choose(logits)
    assert chosen.dtype == torch.int64
    assert (chosen != logits.argmax(dim=1)).all()
    assert chosen.min() >= 0
    assert chosen.max() < classes


@pytest.mark.parametrize("choose", CHOICES)
def test_choice_does_not_depend_on_batch_mates(choose):
    logits = torch.randn(6, 9)
    alone = torch.cat([choose(row[None]) for row in logits])
    assert torch.equal(choose(logits), alone)


@pytest.mark.parametrize("choose", CHOICES)
def test_choice_leaves_the_logits_alone(choose):
    logits = LOGITS.clone()
    choose(logits)
    assert torch.equal(logits, LOGITS)


def test_random_class_follows_the_seed_and_reaches_every_other_class():
    logits = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    chosen = [int(random_class(logits, seed)) for seed in range(60)]
    assert chosen == [int(random_class(logits, seed)) for seed in range(60)]
    assert set(chosen) == {0, 2, 3}


@pytest.mark.parametrize("choose", CHOICES)
def test_one_class_is_too_few(choose):
    with pytest.raises(InputError, match="2 or more, got 1"):
        choose(torch.randn(3, 1))


def test_metric_is_the_mean_correlation_of_the_images_that_have_one():
    maps = torch.rand(3, 1, 4, 5)
    # The same, its negative, and a constant map: (1 - 1) / 2.
    others = torch.stack([maps[0], -maps[1], torch.ones_like(maps[2])])
    metric = ClassSensitivity()
    metric.update(maps, others)
    assert metric.compute() == pytest.approx(0, abs=1e-6)


def test_value_is_that_of_numpy_and_ignores_scale_and_offset():
    maps, others = torch.rand(5, 1, 4, 7), torch.rand(5, 1, 4, 7)
    expected = [
        np.corrcoef(one.flatten(), other.flatten())[0, 1]
        for one, other in zip(maps.numpy(), others.numpy(), strict=True)
    ]
    metric, moved = ClassSensitivity(), ClassSensitivity()
    metric.update(maps, others)
    moved.update(3 * maps - 1, others / 9 + 4)
    assert metric.compute() == pytest.approx(np.mean(expected), abs=1e-6)
    assert moved.compute() == pytest.approx(np.mean(expected), abs=1e-5)
