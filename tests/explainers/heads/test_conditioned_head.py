import pytest
import torch
import torch.nn.functional as F

from explainers import FrozenClassifier
from explainers.heads.conditioned_head import (
    GAIN,
    OFFSET,
    ConditionedHead,
    ConditionedNetwork,
    rows_against_rivals,
)

FINER = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(0)).double()
DEEPEST = torch.rand(2, 5, 4, 6, generator=torch.Generator().manual_seed(1)).double()
ROWS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2)).double()


@pytest.fixture
def head():
    """A head that has learned something, whatever it is."""
    head = ConditionedHead([4, 5], hidden=6).double().eval()
    for layer in head.rows:
        torch.nn.init.normal_(layer.weight)
    return head


def test_an_untrained_head_is_the_standardised_activation_map():
    scores = ConditionedHead([4, 5], hidden=6).double()([FINER, DEEPEST], ROWS)
    assert scores.shape == (2, 3, 8, 12)
    for image in range(2):
        for position in range(3):
            cam = sum(ROWS[image, position, k] * DEEPEST[image, k] for k in range(5))
            cam = (cam - cam.mean()) / (cam.std(correction=0) + 0.01)
            expected = GAIN * F.interpolate(cam[None, None], (8, 12), mode="bilinear") + OFFSET
            torch.testing.assert_close(scores[image, position], expected[0, 0])


def test_weights_of_finer_features_are_made_for_image_and_class(head):
    scores = head([FINER, DEEPEST], ROWS)
    deepest_only = head([torch.zeros_like(FINER), DEEPEST], ROWS)
    finer = (scores - deepest_only) / head.gain
    for image in range(2):
        pooled = DEEPEST[image].mean((1, 2))
        pooled = (pooled - pooled.mean()) / (pooled.var(correction=0) + 1e-5).sqrt()
        for position, row in enumerate(ROWS[image]):
            hidden = F.gelu(head.of_image(pooled) + head.of_class(row) + head.of_both(pooled * row))
            weights = head.rows[0](hidden)
            normed = FINER[image] / (1 + head.norms[0].eps) ** 0.5  # has seen no batch
            expected = (weights[:, None, None] * normed).sum(0) / 2
            torch.testing.assert_close(finer[image, position], expected)


def test_several_classes_at_once_are_scored_as_one_by_one(head):
    together = head([FINER, DEEPEST], ROWS)
    for position in range(3):
        alone = head([FINER, DEEPEST], ROWS[:, position : position + 1])
        torch.testing.assert_close(together[:, position : position + 1], alone)


def test_the_same_classes_can_be_asked_for_all_images():
    backbone = FrozenClassifier("test_resnet", pretrained=False, num_classes=7)
    channels = [backbone.stages[stage].channels for stage in (1, -1)]
    network = ConditionedNetwork(backbone, [1, -1], ConditionedHead(channels, hidden=6)).eval()
    images = torch.rand(2, 3, 64, 96)
    for_all = network.draw(network.read(images), torch.tensor([[5, 2]]))
    assert for_all.shape[:2] == (2, 2)
    torch.testing.assert_close(
        for_all, network.draw(network.read(images), torch.tensor([[5, 2], [5, 2]]))
    )
    torch.testing.assert_close(
        for_all[:, 1:], network.draw(network.read(images), torch.tensor([2, 2]))
    )


def test_rows_against_rivals_are_the_gradient_of_the_log_odds():
    generator = torch.Generator().manual_seed(5)
    pooled, weights, bias = (
        torch.randn(*shape, generator=generator).double() for shape in ((2, 5), (7, 5), (7,))
    )
    labels = torch.tensor([[3, 0], [6, 6]])
    rows = rows_against_rivals(pooled @ weights.T + bias, weights, labels)
    for image in range(2):
        for position, label in enumerate(labels[image]):
            point = pooled[image].clone().requires_grad_()
            probability = (weights @ point + bias).softmax(0)[label]
            odds = torch.log(probability / (1 - probability))
            (gradient,) = torch.autograd.grad(odds, point)
            torch.testing.assert_close(rows[image, position], gradient / weights.std())


def test_a_map_that_is_the_same_everywhere_has_finite_gradients(head):
    features = [FINER, torch.ones_like(DEEPEST)]
    head(features, ROWS).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in head.parameters())
