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


def literal_scores(kind, head, features):
    """All branches at the finest size, concatenated, and scores for each of the K classes."""
    size = max((maps.shape[-2:] for maps in features), key=lambda hw: hw[0] * hw[1])
    refined = []
    for branch, maps in zip(head.branches, features, strict=True):
        if kind is not LCAM:
            maps = F.relu(maps + branch.norm(branch.convolution(maps)))
        if kind is PTAME:
            while maps.shape[-2:] != size:
                maps = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
        else:
            maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        refined.append(maps)
    weight = head.fuser.weight[:, :, None, None]
    return F.conv2d(torch.cat(refined, dim=1), weight, head.fuser.bias)


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
            border += (one[0] ** 2).sum() + (one[-1] ** 2).sum()
            border += (one[:, 0] ** 2).sum() + (one[:, -1] ** 2).sum()
    variation = (steps + PUBLISHED["variation_border"] * border) / (2 * count)
    return {
        "classification": PUBLISHED["classification_weight"] * entropy,
        "area": PUBLISHED["area_weight"] * area,
        "variation": PUBLISHED_VARIATION * variation,
    }


def on_its_way(kind, source, images, labels):
    """An explainer away from its start, where branches and fuser are near nothing."""
    explainer = build(kind, source, **PUBLISHED).to(images.dtype).train()
    for weight in explainer.network.head.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    height, width = explainer.network.draw(explainer.network.read(images), labels[None]).shape[-2:]
    factor = published_variation_factor(len(images), height, width)
    explainer.objective = replace(
        explainer.objective, variation_weight=PUBLISHED_VARIATION * factor
    )
    return explainer


def test_training_loss_and_gradients_equal_the_published_formula(kind, source, images):
    images, labels = images.double(), torch.tensor([1, 3, 1])
    explainer = on_its_way(kind, source, images, labels)
    features = explainer.network.read(images)

    masks = explainer.network.draw(features, labels[None])
    actual = sum(explainer.losses(images, labels, masks, explainer.classifier(images)).values())
    scores = literal_scores(kind, explainer.network.head, features)
    expected = sum(literal_loss(explainer, images, labels, scores.sigmoid()).values())
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=0)

    weights = list(explainer.network.head.parameters())
    for one, other in zip(
        torch.autograd.grad(actual, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_scores_masks_and_losses_equal_the_published_ones_in_float32(kind, source, images):
    labels = torch.tensor([1, 3, 1])
    explainer = on_its_way(kind, source, images, labels)
    features = explainer.network.read(images)
    expected = literal_scores(kind, explainer.network.head, features)
    scores = explainer.network.score(features, torch.arange(4)[None])
    torch.testing.assert_close(scores, expected, rtol=0, atol=3e-5)
    masks = explainer.network.draw(features, labels[None])
    torch.testing.assert_close(masks, expected.sigmoid()[:, labels], rtol=0, atol=5e-6)
    with torch.no_grad():
        terms = explainer.losses(images, labels, masks, explainer.classifier(images))
        published = literal_loss(explainer, images, labels, expected.sigmoid())
    for name, value in published.items():
        torch.testing.assert_close(terms[name], value, rtol=5e-7, atol=5e-7)


@pytest.mark.parametrize(
    ("kind", "coefficient", "batch", "side"),
    [(PTAME, 1e-4, 32, 56), (TAME, 0.01, 32, 28), (LCAM, 0.01, 64, 14)],
)
def test_default_variation_weight_is_the_published_coefficient_at_the_published_batch(
    kind, coefficient, batch, side, source
):
    factor = published_variation_factor(batch, side, side)
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


def groups_of(explainer, optimizer):
    """The optimiser's group of each trained weight, by its name."""
    groups = {id(one): group for group in optimizer.param_groups for one in group["params"]}
    trained = {name: one for name, one in explainer.named_parameters() if one.requires_grad}
    assert len(groups) == len(trained)
    return {name: groups[id(one)] for name, one in trained.items()}


@pytest.mark.filterwarnings("ignore:To get the last learning rate")
@pytest.mark.filterwarnings("ignore:Tried to step")
@pytest.mark.parametrize("kind", [PTAME, TAME])
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


@pytest.mark.parametrize("factor", [2.0, 1.0])
def test_tame_is_trained_by_nesterov_whose_momentum_cycles_and_faster_on_biases(factor, source):
    explainer = build(TAME, source, bias_lr_factor=factor)
    optimizer, _ = scheduled(explainer, 100)
    assert isinstance(optimizer, torch.optim.SGD)
    for name, group in groups_of(explainer, optimizer).items():
        bias = name.endswith("bias")
        assert group["nesterov"]
        assert group["max_lr"] == pytest.approx(1e-3 * factor if bias else 1e-3), name
        assert group["weight_decay"] == (0 if bias else 5e-4), name
    momenta = settings_over_time(explainer, "momentum")
    assert momenta[0] == pytest.approx(0.95)
    assert momenta[29] == pytest.approx(0.85)
    assert momenta[-1] == pytest.approx(0.95)


def test_lcam_is_trained_by_nesterov_at_rates_that_fall_after_each_epoch(source):
    explainer = build(LCAM, source)
    explainer._trainer = SimpleNamespace()
    configured = explainer.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]
    assert isinstance(optimizer, torch.optim.SGD)
    for name, group in groups_of(explainer, optimizer).items():
        assert (group["nesterov"], group["momentum"], group["weight_decay"]) == (True, 0.9, 5e-4)
        assert group["lr"] == (2e-2 if name.endswith("bias") else 1e-2), name
    assert schedule["interval"] == "epoch"
    for epoch in range(8):
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([1e-2 * 0.75**epoch, 2e-2 * 0.75**epoch])
        assert {group["momentum"] for group in optimizer.param_groups} == {0.9}
        optimizer.step()
        schedule["scheduler"].step()


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
