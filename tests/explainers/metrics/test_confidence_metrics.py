"""Average drop, increase and gain, which take the same two probabilities."""

import pytest
import torch

from explainers import FrozenClassifier
from explainers.evaluation.responses import sweep
from explainers.metrics import CHOICES, AverageDrop, AverageGain, AverageIncrease
from explainers.metrics.average_drop import average_drop
from explainers.metrics.average_gain import average_gain
from explainers.metrics.average_increase import average_increase

METRICS = [AverageDrop, AverageIncrease, AverageGain]
BEFORE = torch.tensor([0.8, 0.5, 0.6])
AFTER = torch.tensor([0.2, 0.5, 0.7])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # The first image loses 0.6 of its 0.8, the others nothing: (75 % + 0 + 0) / 3.
        (AverageDrop, 25.0),
        # Only the last one rises; equality is no increase.
        (AverageIncrease, 100 / 3),
        # The last gains 0.1 of the missing 0.4: (0 + 0 + 25 %) / 3.
        (AverageGain, 25 / 3),
    ],
)
def test_known_value(metric, expected):
    metric = metric()
    metric.update(BEFORE, AFTER)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_certain_and_impossible_classes_give_numbers(metric):
    metric = metric()
    metric.update(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))
    assert metric.compute() == 0


def _slow(metric, before, after):
    """The definitions of the module, an image at a time."""
    total = 0.0
    for p, o in zip(before.tolist(), after.tolist(), strict=True):
        if metric is AverageDrop and o < p:
            total += 100 * (p - o) / p
        if metric is AverageIncrease and p < o:
            total += 100
        if metric is AverageGain and o > p:
            total += 100 * (o - p) / (1 - p)
    return total / len(before)


@pytest.mark.parametrize("metric", METRICS)
def test_value_is_that_of_a_slow_loop(metric):
    before, after = torch.rand(40) * 0.9 + 0.05, torch.rand(40)
    after[:5] = before[:5]
    expected = _slow(metric, before, after)
    metric = metric()
    metric.update(before, after)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


def test_drop_is_relative_gain_its_mirror_and_increase_a_count():
    before, after = torch.rand(40) * 0.9 + 0.05, torch.rand(40)
    drop = average_drop(before, after)
    torch.testing.assert_close(average_drop(before / 2, after / 2), drop)
    torch.testing.assert_close(average_gain(1 - before, 1 - after), drop, rtol=1e-4, atol=1e-4)
    increase = average_increase(before, after)
    assert torch.equal(average_increase(before**3, after**3), increase)


@pytest.mark.parametrize("metric", METRICS)
def test_batches_of_unequal_length_weigh_by_image(metric):
    before, after = torch.rand(5) + 0.1, torch.rand(5)
    whole, parts = metric(), metric()
    whole.update(before, after)
    parts.update(before[:4], after[:4])
    parts.update(before[4:], after[4:])
    assert parts.compute() == whole.compute()


@pytest.mark.parametrize("percent", [100, 50, 15])
@pytest.mark.parametrize("name", ["average_drop", "average_increase", "average_gain"])
def test_value_at_a_share_is_that_of_pixels_kept_one_by_one(name, percent):
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=5)
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    images, maps = torch.rand(6, 3, 32, 40), torch.rand(6, 1, 32, 40)
    labels = torch.arange(6) % 5  # some of them rise, some fall
    terms = []
    with torch.no_grad():
        for image, scores, label in zip(images, maps, labels, strict=True):
            values = sorted(scores.flatten().tolist(), reverse=True)
            lowest = values[round(len(values) * percent / 100) - 1]
            weights = torch.where(scores >= lowest, scores, 0.0)
            p = classifier(image[None]).double().softmax(dim=1)[0, label].item()
            o = classifier((image * weights)[None]).double().softmax(dim=1)[0, label].item()
            terms.append(
                {
                    "average_drop": max(p - o, 0) / p,
                    "average_increase": float(p < o),
                    "average_gain": max(o - p, 0) / (1 - p),
                }[name]
            )
        metric = CHOICES[name if percent == 100 else f"{name}_{percent}"]()
        answers = sweep(classifier, metric.needs, images, maps, labels)
        metric.update(*(answers[need].probability for need in metric.needs))
    expected = 100 * sum(terms) / len(terms)
    assert 0 < expected < 100
    assert metric.compute().item() == pytest.approx(expected, rel=0, abs=2e-5)
