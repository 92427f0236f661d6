"""The random-threshold objective: how much is kept, what it costs, and where its gradient leads."""

import math

import pytest
import torch
from torch import nn

from explainers import LCAM, PTAME, TAME, PTAMEPlus
from explainers.classifier.decision import Decision
from explainers.errors import InputError
from explainers.training.random_threshold import drawn_shares, threshold_loss, top_share

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


class Linear(nn.Module):
    """Two classes, the second of which counts each pixel of the red channel by a weight."""

    def __init__(self, weights, activation="softmax"):
        super().__init__()
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.decision = Decision(activation)

    def forward(self, images):
        evidence = (images[:, 0] * self.weights).sum(dim=(1, 2))
        return torch.stack([-evidence / 2, evidence / 2], dim=1)


def test_half_of_four_pixels_is_those_over_the_middle_of_the_second_and_the_third():
    maps = torch.tensor([[[[0.1, 0.9], [0.5, 0.3]]]])
    kept = top_share(maps, torch.tensor([0.5]), temperature=0.1)
    # The quantile is (0.5 + 0.3) / 2 = 0.4: the pixels are -3, 5, 1 and -1 temperatures from it.
    expected = torch.tensor([[[[-3.0, 5.0], [1.0, -1.0]]]]).sigmoid()
    torch.testing.assert_close(kept, expected)


def test_as_many_pixels_are_over_a_half_as_the_share_says():
    maps = torch.rand(5, 1, 8, 10)
    shares = torch.tensor([0.0, 0.1, 0.5, 0.8123, 1.0])
    over = (top_share(maps, shares, 0.05) > 0.5).flatten(1).sum(dim=1)
    assert over.tolist() == [1, 8, 40, 65, 79]  # at least one, and never all


def test_pixels_that_tie_are_kept_alike_and_have_a_gradient():
    maps = torch.full((2, 1, 4, 4), 0.7, requires_grad=True)
    kept = top_share(maps, torch.tensor([0.2, 0.9]), 0.1)
    assert (kept == 0.5).all()
    kept.sum().backward()
    torch.testing.assert_close(maps.grad, torch.full_like(maps, 0.25 / 0.1))
    assert top_share(torch.rand(1, 1, 1, 1), torch.tensor([0.5]), 0.1).item() == 0.5


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_loss_is_the_cross_entropy_of_what_is_kept_and_the_survival_of_the_rest(activation):
    classifier = Linear([[3.0, -1.0], [0.5, 2.0]], activation)
    images = torch.rand(2, 3, 2, 2, dtype=torch.float64)
    maps = torch.rand(2, 1, 2, 2, dtype=torch.float64)
    labels, shares = [1, 0], [0.25, 0.75]
    expected = 0.0
    for image, one, label, share in zip(images, maps, labels, shares, strict=True):
        ordered = sorted(one.flatten().tolist(), reverse=True)
        count = round(4 * share)
        quantile = (ordered[count - 1] + ordered[count]) / 2
        probabilities = []
        for side in (1, -1):
            evidence = 0.0
            for row in range(2):
                for column in range(2):
                    distance = side * (float(one[0, row, column]) - quantile) / 0.2
                    part = 1 / (1 + math.exp(-distance))
                    weight = float(classifier.weights[row, column])
                    evidence += part * float(image[0, row, column]) * weight
            logit = evidence if activation == "softmax" else evidence / 2
            yes = 1 / (1 + math.exp(-logit))
            probabilities.append(yes if label else 1 - yes)
        expected -= (math.log(probabilities[0]) + math.log(1 - probabilities[1])) / 2
    actual = threshold_loss(
        classifier, images, torch.tensor(labels), maps, torch.tensor(shares), temperature=0.2
    )
    assert float(actual) == pytest.approx(expected, rel=1e-10)


def test_the_right_order_costs_less_at_every_share_and_the_gradient_leads_to_it():
    classifier = Linear([[4.0, 4.0], [-4.0, -4.0]])
    images = torch.ones(1, 3, 2, 2, dtype=torch.float64)
    label = torch.tensor([1])
    right = torch.tensor([[[[0.8, 0.7], [0.3, 0.2]]]], dtype=torch.float64)
    for share in (0.25, 0.5, 0.75):
        share = torch.tensor([share])
        wrong = (1 - right).requires_grad_()
        cost = threshold_loss(classifier, images, label, wrong, share, 0.1)
        assert threshold_loss(classifier, images, label, right, share, 0.1) < cost
        cost.backward()
        # Down the gradient, pixels for the class gain value, and those against it lose some.
        assert (wrong.grad[0, 0, 0] < 0).all()
        assert (wrong.grad[0, 0, 1] > 0).all()


def test_shares_differ_from_step_to_step_and_from_image_to_image():
    labels = torch.zeros(6, dtype=torch.int64)
    drawn = torch.stack([drawn_shares(labels, step) for step in range(200)])
    assert torch.equal(drawn[3], drawn_shares(labels, 3))
    assert len(drawn.unique()) == 1200
    assert abs(float(drawn.mean()) - 0.5) < 0.03


@pytest.mark.parametrize("kind", [LCAM, TAME, PTAME, PTAMEPlus])
def test_threshold_weight_adds_a_term_and_leaves_the_others_as_they_are(kind, images, labels):
    options = {"auxiliary": SOURCE} if kind is PTAME else {}
    explainer = kind(SOURCE, **options, threshold_weight=0.7, threshold_temperature=0.2)
    logits = explainer.classifier(images)
    classes = explainer.step_classes(labels, logits)
    masks = explainer.network.draw(explainer.network.read(images), classes)
    terms = explainer.losses(images, labels, masks, logits)
    own = masks[:, :1] if kind is PTAMEPlus else masks[range(3), range(3)][:, None]
    maps = nn.functional.interpolate(own, images.shape[-2:], mode="bilinear")
    maps = explainer.to_maps(maps)
    shares = drawn_shares(labels, 0)
    expected = 0.7 * threshold_loss(explainer.classifier, images, labels, maps, shares, 0.2)
    torch.testing.assert_close(terms.pop("threshold"), expected)
    plain = kind(explainer.classifier, **options, threshold_weight=0.0)
    assert plain.losses(images, labels, masks, logits) == terms


@pytest.mark.parametrize("kind", [LCAM, PTAMEPlus])
def test_threshold_that_is_a_step_is_refused(kind):
    with pytest.raises(InputError, match=r"threshold_temperature must be .* least 0.0001, got 0"):
        kind(SOURCE, threshold_temperature=0.0)
    with pytest.raises(InputError, match=r"threshold_weight must be .* least 0, got -1"):
        kind(SOURCE, threshold_weight=-1.0)
