import pytest
import torch
from torch import nn

from explainers import PTAME, FrozenClassifier
from explainers.metrics.parts.map_similarity import spearman, ssim
from explainers.metrics.randomisation import (
    ModelRandomisation,
    ModelRandomisationRank,
    randomisation_rank,
    randomisation_ssim,
    randomised,
)


def _state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def _changed(model, before):
    return {name for name, value in model.state_dict().items() if not value.equal(before[name])}


@pytest.fixture
def classifier(source):
    """A classifier whose every tensor has something to lose, as after training."""
    classifier = FrozenClassifier.of(source)
    for name, value in classifier.model.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value))
    return classifier


def test_layers_come_from_the_logits_down(architecture):
    model = FrozenClassifier.of({"model": architecture, "pretrained": False}).model
    expected = {
        "test_resnet": ["fc", "layer4.0", "layer3.0", "layer2.0", "layer1.0", "bn1", "conv1"],
        "test_vit": ["head", "fc_norm", "norm", *(f"blocks.{n}" for n in (5, 4, 3, 2, 1, 0))],
        "test_convnext": ["head.fc", "head.norm", "stages.3", "stages.2", "stages.1", "stages.0"],
    }[architecture]
    with randomised(model) as layers:
        names = list(layers)
    expected = [name for name in expected if name in names]
    assert len(expected) >= 6
    assert names[: len(expected)] == expected


def test_each_step_changes_its_layer_and_keeps_the_ones_before(classifier):
    model = classifier.model
    before = _state(model)
    done, previous = set(), {}
    with randomised(model) as layers:
        for layer in layers:
            now = _changed(model, before)
            assert done < now
            assert all(name.startswith(layer) for name in now - done)
            latest = {name: model.state_dict()[name].clone() for name in now}
            assert all(latest[name].equal(previous[name]) for name in done)
            done, previous = now, latest
        integers = {name for name, value in before.items() if not value.is_floating_point()}
        assert done == set(before) - integers


def test_depth_decides_how_much_a_layer_is():
    model = FrozenClassifier.of({"model": "test_resnet", "pretrained": False}).model
    with randomised(model, depth=1) as layers:
        assert list(layers) == ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    with randomised(model, depth=9) as layers:
        assert next(iter(layers)) == "fc"
        assert next(iter(layers)).startswith("layer4.0.")


def test_weights_are_restored_to_the_bit(classifier):
    before = _state(classifier.model)
    with randomised(classifier.model) as layers:
        list(layers)
    assert not _changed(classifier.model, before)


def test_weights_are_restored_after_an_exception_and_after_stopping_halfway(classifier):
    before = _state(classifier.model)
    with pytest.raises(ZeroDivisionError), randomised(classifier.model) as layers:
        _ = [1 / (step - 1) for step, _ in enumerate(layers)]
    assert not _changed(classifier.model, before)
    with randomised(classifier.model) as layers:
        for _ in layers:
            break
    assert not _changed(classifier.model, before)


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_weights_are_restored_where_gradients_are_off(classifier, images, guard):
    before = _state(classifier.model)
    with guard(), randomised(classifier.model) as layers:
        list(layers)
    assert not _changed(classifier.model, before)
    images.requires_grad_()
    classifier(images).sum().backward()
    assert images.grad.isfinite().all()
    assert not any(weight.requires_grad for weight in classifier.parameters())


def test_seed_decides_and_torchs_own_generator_is_left_alone(classifier):
    def last(seed):
        with randomised(classifier.model, seed) as layers:
            list(layers)
            return torch.cat([weight.flatten() for weight in classifier.parameters()])

    state = torch.get_rng_state()
    first, again, other = last(0), last(0), last(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_tensors_keep_their_mean_and_spread():
    layer = nn.Sequential(nn.Linear(200, 100), nn.BatchNorm1d(100))
    nn.init.normal_(layer[0].weight, mean=3.0, std=0.5)
    layer[1].running_var.copy_(torch.rand(100) + 1)
    average = layer[1].running_var.mean()
    with randomised(layer) as layers, torch.no_grad():
        assert list(layers) == ["1", "0"]
        assert float(layer[0].weight.mean()) == pytest.approx(3.0, abs=0.02)
        assert float(layer[0].weight.std()) == pytest.approx(0.5, abs=0.02)
        assert (layer[1].running_var == average).all()
        assert (layer[1].weight == 1).all()


def test_prediction_is_lost_and_logits_stay_finite(source, images):
    classifier = FrozenClassifier.of(source)
    before = classifier(images)
    with randomised(classifier.model) as layers:
        for _ in layers:
            after = classifier(images)
            assert after.isfinite().all()
            assert not torch.allclose(after, before)


def test_method_with_a_network_of_its_own_answers_as_before(images, labels):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    explainer = PTAME(source, auxiliary=source).eval()
    nn.init.normal_(explainer.network.head.fuser.weight)
    maps = explainer(images, labels)
    with randomised(explainer.classifier.model) as layers:
        changed = torch.cat([explainer(images, labels) for _ in layers], dim=1)
    torch.testing.assert_close(randomisation_rank(maps, changed), torch.ones(3))


@pytest.mark.parametrize(
    ("function", "similarity"), [(randomisation_ssim, ssim), (randomisation_rank, spearman)]
)
def test_value_is_the_mean_over_the_layers(function, similarity):
    maps, changed = torch.rand(2, 1, 12, 14), torch.rand(2, 3, 12, 14)
    expected = [
        sum(float(similarity(maps[i : i + 1], changed[i : i + 1, j : j + 1])) for j in range(3)) / 3
        for i in range(2)
    ]
    torch.testing.assert_close(function(maps, changed), torch.tensor(expected))


@pytest.mark.parametrize("function", [randomisation_ssim, randomisation_rank])
def test_layers_without_a_value_are_left_out_and_images_without_any_are_undefined(function):
    maps = torch.rand(3, 1, 12, 14)
    changed = maps.repeat(1, 2, 1, 1)
    changed[0, 1] = 0.5  # one layer's map is constant
    maps[2] = 0.5
    values = function(maps, changed)
    torch.testing.assert_close(values, torch.tensor([1.0, 1.0, torch.nan]), equal_nan=True)


@pytest.mark.parametrize("metric", [ModelRandomisation, ModelRandomisationRank])
def test_metric_is_the_mean_over_the_images_that_have_a_value(metric):
    metric = metric()
    maps = torch.rand(3, 1, 12, 14)
    changed = torch.cat([maps, maps], dim=1)
    metric.update(maps[:2], changed[:2])
    metric.update(torch.zeros_like(maps[2:]), changed[2:])
    assert metric.compute() == pytest.approx(1)


def test_known_rank_correlation():
    # Ranks (1 2 3 4) against (2 1 4 3): 1 - 6 * 4 / (4 * 15) = 0.6; against (4 3 2 1): -1.
    maps = torch.tensor([1.0, 2.0, 3.0, 9.0]).view(1, 1, 2, 2)
    changed = torch.tensor([[0.2, 0.1, 0.4, 0.3], [8.0, 3.0, 2.0, 1.0]]).view(1, 2, 2, 2)
    metric = ModelRandomisationRank()
    metric.update(maps, changed)
    assert metric.compute() == pytest.approx((0.6 - 1) / 2)


@pytest.mark.parametrize("function", [randomisation_ssim, randomisation_rank])
def test_neither_scale_nor_order_of_the_layers_matters(function):
    maps, changed = torch.rand(2, 1, 12, 14), torch.rand(2, 3, 12, 14)
    expected = function(maps, changed)
    scale = torch.tensor([3.0, 0.2, 50.0]).view(1, 3, 1, 1)
    moved = function(7 * maps + 1, (scale * changed - 2).flip(1))
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)
