"""The two-sided objective, by each preset, against the formula computed one pixel at a time."""

import math

import pytest
import torch
from torch import nn

from explainers.classifier.decision import Decision
from explainers.errors import InputError
from explainers.images.pixel_removal import REMOVALS
from explainers.training.two_sided_objective import (
    PRESETS,
    Masks,
    TwoSidedObjective,
    coloured_noise,
)


class Linear(nn.Module):
    """Four classes, each of which counts the pixels (3 h w) by weights of its own."""

    def __init__(self, activation):
        super().__init__()
        self.weights = torch.randn(4, 3, 4, 6, dtype=torch.float64)
        self.decision = Decision(activation)

    def forward(self, images):
        return torch.einsum("bchw,kchw->bk", images, self.weights)


@pytest.fixture
def images():
    return torch.rand(2, 3, 4, 6, dtype=torch.float64)


@pytest.fixture
def masks():
    """Two classes that the first image shows, one that the second does, and absent ones."""
    drawn = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    drawn[1, 1] = drawn[1, 0]  # to fill the batch
    drawn[0, 0] *= 0.05  # a mask under, and one over the bounds
    drawn[0, 1] = 0.5 + drawn[0, 1] / 2
    return Masks(
        drawn[:, :2],
        torch.tensor([[2, 0], [3, 3]]),
        torch.tensor([[True, True], [True, False]]),
        drawn[:, 2:],
        torch.tensor([True, True]),
    )


def literal_variation(mask):
    total = 0.0
    for row in range(4):
        for column in range(6):
            if row:
                total += float(mask[row, column] - mask[row - 1, column]) ** 2
            if column:
                total += float(mask[row, column] - mask[row, column - 1]) ** 2
    return total / 24


def literal_probabilities(classifier, image, mask, fill):
    logits = []
    for weights in classifier.weights:
        total = 0.0
        for channel in range(3):
            for row in range(4):
                for column in range(6):
                    part = float(mask[row, column])
                    value = part * float(image[channel, row, column])
                    value += (1 - part) * float(fill[channel, row, column])
                    total += value * float(weights[channel, row, column])
        logits.append(total)
    if classifier.decision.exclusive:
        whole = sum(math.exp(one) for one in logits)
        return [math.exp(one) / whole for one in logits]
    return [1 / (1 + math.exp(-one)) for one in logits]


def literal(preset, classifier, image, fill, present, absent, classes):
    """Objective of one image: masks by present class, the mask of an absent class, and its price."""
    union = torch.stack(present).amax(dim=0)
    kept = literal_probabilities(classifier, image, union, fill)
    left = literal_probabilities(classifier, image, 1 - union, fill)
    area = float(union.mean())
    total = -sum(math.log(kept[one]) for one in classes) / len(classes)
    total += 3.136 * literal_variation(union)
    if classifier.decision.exclusive:
        entropy = -sum(p * math.log(p) for p in left) / math.log(4)
    else:
        each = [left[one] for one in classes]
        bits = [-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in each]
        entropy = sum(bits) / len(bits)
    if preset == "rtis":
        total += 10 * area + 5 * sum(left[one] ** 0.3 for one in classes) / len(classes)
        per_area = 10
    elif preset == "phang":
        total += 10 * area - 10 * entropy
        per_area = 10
    else:
        areas = [float(mask.mean()) for mask in present]
        outside = [max(0, one - 0.3) + max(0, 0.05 - one) for one in areas]
        total += 10 * sum(outside) / len(outside) - entropy
        per_area = 10
    return total, per_area * float(absent.mean()) + 3.136 * literal_variation(absent)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("preset", PRESETS)
def test_objective_is_that_of_a_slow_computation(preset, activation, images, masks):
    classifier = Linear(activation)
    objective = TwoSidedObjective(**PRESETS[preset] | {"absent_share": 0.25})
    terms = objective.losses(classifier, images, masks, REMOVALS["mean"])
    expected = 0.0
    for index, classes in enumerate([[2, 0], [3]]):
        present = list(masks.present[index, : len(classes)])
        fill = images[index].mean(dim=(1, 2), keepdim=True).expand(3, 4, 6)
        absent = masks.absent[index, 0]
        there, not_there = literal(
            preset, classifier, images[index], fill, present, absent, classes
        )
        expected += (0.75 * there + 0.25 * not_there) / 2
    assert float(sum(terms.values())) == pytest.approx(expected, rel=1e-9)


def test_absent_masks_of_images_that_show_every_class_cost_nothing(images, masks):
    objective = TwoSidedObjective(area_weight=2.0, absent_share=0.5)
    terms = objective.losses(
        Linear("sigmoid"),
        images,
        masks._replace(lacking=torch.tensor([True, False])),
        REMOVALS["black"],
    )
    expected = 0.5 * 2.0 * float(masks.absent[0].mean()) / 2
    assert float(terms["absent"]) == pytest.approx(expected)


def test_terms_of_weight_zero_are_left_out(images, masks):
    objective = TwoSidedObjective()
    alone = Masks(masks.present, masks.classes, masks.counted)
    terms = objective.losses(Linear("softmax"), images, alone, REMOVALS["black"])
    assert list(terms) == ["classification"]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradients_are_finite_where_nothing_is_left_of_a_class(activation, images, masks):
    classifier = Linear(activation)
    classifier.weights *= 1000
    present = masks.present.clone().requires_grad_()
    objective = TwoSidedObjective(destroy_weight=5.0, destroy_power=0.3, entropy_weight=1.0)
    terms = objective.losses(classifier, images, masks._replace(present=present), REMOVALS["black"])
    sum(terms.values()).backward()
    assert present.grad.isfinite().all()


def test_fill_is_drawn_for_the_step():
    objective = TwoSidedObjective(**PRESETS["rtis"])
    labels = torch.tensor([1, 0])
    images, nothing = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    shown = [objective.removal(labels, step)(images, nothing) for step in range(40)]
    again = objective.removal(labels, 3)(images, nothing)
    assert torch.equal(shown[3], again)
    blurred = [torch.equal(one, REMOVALS["blur"](images, nothing)) for one in shown]
    assert 12 <= sum(blurred) <= 28
    others = [one for one, blur in zip(shown, blurred, strict=True) if not blur]
    assert not torch.equal(others[0], others[1])


def test_coloured_noise_is_around_a_colour_of_each_image():
    noise = coloured_noise(torch.rand(4, 3, 64, 64), torch.zeros(4), 7)
    assert noise.min() >= 0
    assert noise.max() <= 1
    colours = noise.mean(dim=(2, 3))
    assert len(colours.round(decimals=2).unique()) > 8
    middle = colours[(colours > 0.35) & (colours < 0.65)]
    deviations = noise.std(dim=(2, 3))[(colours > 0.35) & (colours < 0.65)]
    assert len(middle)
    torch.testing.assert_close(deviations, torch.full_like(deviations, 0.1), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"area_weight": -1.0}, "area_weight must be a finite number of at least 0, got -1.0"),
        ({"absent_share": 1.0}, "absent_share must be .* below 1, got 1.0"),
        ({"least_area": 0.4, "greatest_area": 0.3}, "least_area must be .* at most 0.3, got 0.4"),
        ({"destroy_power": 0.0}, "destroy_power must be .* above 0, got 0.0"),
        ({"fills": []}, r"fills must be a list of at least one of black, .*, got \[\]"),
        ({"fills": "blur"}, "fills must be a list .* got 'blur'"),
        ({"fills": ["blurred"]}, "unknown fill 'blurred'; did you mean blur"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        TwoSidedObjective(**options)
