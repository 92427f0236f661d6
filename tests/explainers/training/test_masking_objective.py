"""The objective and the optimisers of L-CAM, TAME and P-TAME are the published ones."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from explainers import LCAM, PTAME, TAME
from explainers.training.losses import published_variation_factor

KINDS = [LCAM, PTAME, TAME]
PUBLISHED = {
    "classification_weight": 0.7,
    "area_weight": 1.3,
    "area_power": 0.3,
    "variation_border": 0.3,
}
PUBLISHED_VARIATION = 0.01


def build(kind, source, **options):
    if kind is PTAME:
        options["auxiliary"] = source
    return kind(source, **options)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def literal_masks(head, features):
    """All branches at the finest size, concatenated, and a mask for each of the K classes."""
    size = max((maps.shape[-2:] for maps in features), key=lambda hw: hw[0] * hw[1])
    refined = []
    for branch, maps in zip(head.branches, features, strict=True):
        if hasattr(branch, "convolution"):
            maps = F.relu(maps + branch.norm(branch.convolution(maps)))
        refined.append(F.interpolate(maps, size, mode="bilinear", align_corners=False))
    weight = head.fuser.weight[:, :, None, None]
    return torch.sigmoid(F.conv2d(torch.cat(refined, dim=1), weight, head.fuser.bias))


def literal_loss(explainer, images, labels, masks):
    """The published sum over the masks (b classes h w), one after the other."""
    count = len(images)
    entropy = area = steps = border = 0.0
    for i in range(count):
        own = masks[i, labels[i]][None, None]
        own = F.interpolate(own, images.shape[-2:], mode="bilinear", align_corners=False)
        logits = explainer.classifier(images[i : i + 1] * own)[0]
        entropy -= torch.log(logits.exp()[labels[i]] / logits.exp().sum()) / count
        for label in labels:
            one = masks[i, label]
            area += ((one + 5e-4) ** PUBLISHED["area_power"]).mean() / count**2
            steps += ((one[1:] - one[:-1]) ** 2).sum() + ((one[:, 1:] - one[:, :-1]) ** 2).sum()
            border += (one**2).sum() - (one[1:-1, 1:-1] ** 2).sum()
    variation = (steps + PUBLISHED["variation_border"] * border) / (2 * count)
    return (
        PUBLISHED["classification_weight"] * entropy
        + PUBLISHED["area_weight"] * area
        + PUBLISHED_VARIATION * variation
    )


def test_training_loss_and_gradients_equal_the_published_formula(kind, source, images):
    images, labels = images.double(), torch.tensor([1, 3, 1])
    explainer = build(kind, source, **PUBLISHED).double().train()
    # Away from the start, where branches and fuser are near nothing.
    for weight in explainer.network.head.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    features = explainer.network.read(images)
    height, width = explainer.network.draw(explainer.network.read(images), labels[None]).shape[-2:]
    explainer.objective = replace(
        explainer.objective,
        variation_weight=PUBLISHED_VARIATION * published_variation_factor(3, height, width),
    )

    masks = explainer.network.draw(explainer.network.read(images), labels[None])
    actual = torch.stack(
        list(explainer.losses(images, labels, masks, explainer.classifier(images)).values())
    ).sum()
    expected = literal_loss(
        explainer, images, labels, literal_masks(explainer.network.head, features)
    )
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=0)

    weights = list(explainer.network.head.parameters())
    for one, other in zip(
        torch.autograd.grad(actual, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "coefficient", "side"), [(PTAME, 1e-4, 56), (TAME, 0.01, 28), (LCAM, 0.01, 14)]
)
def test_default_variation_weight_is_the_published_coefficient_at_batch_32(
    kind, coefficient, side, source
):
    factor = published_variation_factor(32, side, side)
    assert build(kind, source).objective.variation_weight == pytest.approx(coefficient * factor)


def scheduled(explainer, steps):
    """The optimiser and the schedule of a fit of so many steps."""
    explainer._trainer = SimpleNamespace(estimated_stepping_batches=steps)
    configured = explainer.configure_optimizers()
    explainer._trainer = None
    return configured["optimizer"], configured["lr_scheduler"]["scheduler"]


def settings_over_time(explainer, name, steps=100):
    optimizer, schedule = scheduled(explainer, steps)
    history = []
    for _ in range(steps):
        value = optimizer.param_groups[0][name]
        history.append(value[0] if isinstance(value, tuple) else value)
        optimizer.step()
        schedule.step()
    return history


@pytest.mark.filterwarnings("ignore:To get the last learning rate")
@pytest.mark.filterwarnings("ignore:Tried to step")
def test_rate_rises_for_three_tenths_from_a_25th_and_falls_to_a_250000th(kind, source):
    explainer = build(kind, source, lr=0.5)
    rates = settings_over_time(explainer, "lr")
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates.index(max(rates)) == 29
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)


def test_ptame_is_trained_by_amsgrad_whose_momentum_cycles(source):
    explainer = build(PTAME, source)
    optimizer, _ = scheduled(explainer, 100)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["amsgrad"]
    assert optimizer.param_groups[0]["weight_decay"] == 0.13324
    momenta = settings_over_time(explainer, "betas")
    assert momenta[0] == pytest.approx(0.95)
    assert momenta[29] == pytest.approx(0.85)
    assert momenta[-1] == pytest.approx(0.95)


@pytest.mark.parametrize("kind", [TAME, LCAM])
def test_tame_and_lcam_are_trained_by_nesterov_without_decay_of_biases(kind, source):
    explainer = build(kind, source)
    optimizer, _ = scheduled(explainer, 100)
    assert isinstance(optimizer, torch.optim.SGD)
    decays = {
        id(weight): group["weight_decay"]
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    trained = {name: w for name, w in explainer.named_parameters() if w.requires_grad}
    assert len(decays) == len(trained)
    for name, weight in trained.items():
        assert decays[id(weight)] == (0 if name.endswith("bias") else 5e-4), name
    for group in optimizer.param_groups:
        assert group["nesterov"]
    assert set(settings_over_time(explainer, "momentum")) == {0.9}


@pytest.mark.parametrize("kind", [TAME, LCAM])
def test_the_network_shares_the_classifier_and_ships_nothing_of_it(kind, source, images):
    explainer = build(kind, source)
    assert explainer.network.backbone is explainer.classifier
    assert list(explainer.fingerprints()) == ["classifier"]
    assert all(name.startswith("network.head.") for name in explainer.trained_state())
    other = build(kind, source)
    other.classifier.model.load_state_dict(explainer.classifier.model.state_dict())
    other.load_trained_state(explainer.trained_state(), explainer.fingerprints())
    torch.testing.assert_close(other(images), explainer(images))


@pytest.mark.parametrize("kind", [TAME, LCAM])
def test_every_trained_weight_and_no_frozen_one_gets_a_gradient(kind, source, images, objective):
    explainer = build(kind, source).train()
    labels = torch.tensor([0, 1, 2])
    objective(explainer, images, labels).backward()
    for name, weight in explainer.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
        assert weight.requires_grad == name.startswith("network.head."), name
