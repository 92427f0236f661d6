"""Amortised Shapley values, against their enumeration."""

from itertools import product
from math import factorial

import pytest
import torch
import torch.nn.functional as F

from explainers import FrozenClassifier, ShapleyExplainer, load_explainer
from explainers.bundle import save_bundle
from explainers.errors import ArchitectureError, InputError
from explainers.training.masked_answers import MaskedAnswers
from explainers.training.masked_surrogate import MaskedSurrogate

PREPARED = {"mean": [0.4] * 3, "std": [0.3] * 3, "size": [48, 48]}


def pictures(count, seed):
    """Images (b 3 48 48) of 6 x 6 coloured squares."""
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 3, 6, 6, generator=generator), (48, 48))


@pytest.fixture(scope="module")
def classifier():
    """A network of four classes that it tells apart surely, with random weights."""
    torch.manual_seed(0)
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    classifier = FrozenClassifier.of(source | PREPARED)
    with torch.no_grad():
        for _ in range(20):
            classifier.model.train()(torch.randn(16, 3, 48, 48))
    classifier.model.eval()
    torch.nn.init.normal_(classifier.reader.last_layer().weight, std=1.0)
    return classifier


@pytest.fixture
def small(classifier):
    return ShapleyExplainer(classifier, cells=3, stages=[1, 2, -1], width=32, subsets=16, lr=3e-3)


def enumerated(answers, images):
    """Shapley values (b 9 classes) of 3 x 3 patches, from the worths of all 512 sets."""
    subsets = torch.tensor(list(product([False, True], repeat=9)))
    worths = torch.cat(
        [answers.on_subsets(image[None], subsets.view(1, 512, 3, 3)) for image in images]
    ).softmax(dim=-1)
    values = torch.zeros(len(images), 9, worths.shape[-1])
    for index, subset in enumerate(subsets):
        size = int(subset.sum())
        for player in (~subset).nonzero()[:, 0].tolist():
            weight = factorial(size) * factorial(8 - size) / factorial(9)
            with_player = index + 2 ** (8 - player)
            values[:, player] += weight * (worths[:, with_player] - worths[:, index])
    return values


def error(explainer, images, expected):
    """Root mean squared error over patches and classes, against that of values of 0."""
    values = torch.stack(
        [explainer.patch_values(images, torch.full((len(images),), k)) for k in range(4)], dim=-1
    )
    return float((values.flatten(1, 2) - expected).square().mean().sqrt())


@pytest.mark.slow
@pytest.mark.parametrize("conditioned", [True, False])
def test_values_of_new_images_approach_the_enumerated_ones(classifier, conditioned, monkeypatch):
    explainer = ShapleyExplainer(
        classifier, cells=3, stages=[1, 2, -1], conditioned=conditioned, width=32, subsets=16
    )
    held_out = pictures(8, 99)
    expected = enumerated(explainer.answers, held_out)
    size = float(expected.square().mean().sqrt())
    trained = [weight for weight in explainer.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, 3e-3)
    errors = [error(explainer, held_out, expected)]
    for step in range(300):
        monkeypatch.setattr(type(explainer), "global_step", step, raising=False)
        images = pictures(16, 1000 + step)
        logits, features = explainer.train().read(images)
        labels = logits.argmax(dim=1)
        values = explainer.network.draw(features, explainer.target_classes(labels))
        optimizer.zero_grad()
        explainer.losses(images, labels, values, logits)["regression"].backward()
        optimizer.step()
        if step in (99, 299):
            errors.append(error(explainer, held_out, expected))
    print(f"values of size {size:.3f}, error {errors}")  # noqa: T201
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.65 * size


def test_twenty_steps_lower_the_objective(small, twenty_steps):
    images = pictures(4, 0)
    labels = small.classifier(images).argmax(dim=1)
    history = twenty_steps(small, images, labels, torch.optim.AdamW(small.parameters(), 3e-3))
    assert history[-1] < 0.9 * history[0]


@pytest.mark.parametrize("conditioned", [True, False])
def test_values_sum_to_what_the_image_adds(classifier, conditioned):
    explainer = ShapleyExplainer(classifier, cells=5, width=32, conditioned=conditioned)
    images, target = pictures(3, 1), torch.tensor([0, 3, 1])
    whole = explainer.confidence(images, target)
    nothing = classifier(torch.zeros(1, 3, 48, 48)).softmax(dim=1)[0, target]
    total = explainer.patch_values(images, target).sum(dim=(1, 2))
    torch.testing.assert_close(total, whole - nothing, atol=1e-5, rtol=0)


def test_values_are_regressed_with_forward_passes_alone(small):
    """No gradient passes through the classifier, and each set is shown once."""
    images = pictures(2, 0)
    shown = []
    handle = small.classifier.model.register_forward_hook(
        lambda module, arguments, output: shown.append((len(output), output.requires_grad))
    )
    logits, features = small.read(images)
    labels = logits.argmax(dim=1)
    values = small.network.draw(features, small.target_classes(labels))
    small.losses(images, labels, values, logits)["regression"].backward()
    handle.remove()
    assert sum(count for count, _ in shown) == 2 * 16  # timm's features do not call the module
    assert not any(gradient for _, gradient in shown)


def test_removed_patches_are_black():
    shown = []

    class Recording(torch.nn.Module):
        def forward(self, images):
            shown.append(images)
            return images.mean((2, 3))

    network = FrozenClassifier(Recording(), mean=[0.0] * 3, std=[1.0] * 3, size=[48, 48])
    kept = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    kept[0, 0, 0, 1] = True  # the first row, the second column
    kept[0, 1] = True
    shown.clear()
    images = pictures(1, 0)
    MaskedAnswers(network, cells=3).on_subsets(images, kept)
    expected = torch.zeros(1, 3, 48, 48)
    expected[..., :16, 16:32] = images[..., :16, 16:32]
    torch.testing.assert_close(shown[0], torch.cat([expected, images]))


@pytest.mark.parametrize("name", ["class token", "mean", "rotary"])
def test_patches_can_be_tokens_of_a_transformer(build, name):
    classifier, _ = build(name)
    classifier = classifier.float()
    explainer = ShapleyExplainer(classifier, removal="tokens", width=16, subsets=4)
    images = torch.rand(2, 3, *classifier.size)
    values = explainer.patch_values(images)
    assert values.shape[1:] == explainer.answers.transformer.grid(images)
    labels = classifier(images).argmax(dim=1)
    added = explainer.confidence(images, labels) - explainer.network.empty[labels]
    torch.testing.assert_close(values.sum(dim=(1, 2)), added, atol=1e-5, rtol=0)


def test_tokens_need_a_transformer(classifier):
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        ShapleyExplainer(classifier, removal="tokens")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subsets": 7}, "subsets must be even.*got 7; 8 is"),
        ({"width": 20}, "width must be a multiple of 8, got 20; 16 is"),
        ({"cells": 1}, "cells must be"),
        ({"removal": "nothing"}, "removal"),
        ({"surrogate": "nowhere"}, "no masked-input surrogate in .*nowhere"),
    ],
)
def test_bad_settings_are_refused_in_one_line(classifier, options, message):
    with pytest.raises(InputError, match=message):
        ShapleyExplainer(classifier, **options)


def test_surrogate_says_what_sets_are_worth_and_a_bundle_does_not_need_it(classifier, tmp_path):
    surrogate = MaskedSurrogate(classifier, cells=3)
    with torch.no_grad():
        for weight in surrogate.network.model.parameters():
            weight.mul_(1.1)
    folder = surrogate.save(tmp_path / "judge", {})
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    explainer = ShapleyExplainer(classifier, surrogate=str(folder), cells=3, width=32)
    images, kept = pictures(2, 0), torch.rand(2, 4, 3, 3) < 0.5
    torch.testing.assert_close(
        explainer.answers.on_subsets(images, kept),
        MaskedAnswers(surrogate.network, cells=3).on_subsets(images, kept),
    )
    nothing = surrogate.network(torch.zeros(1, 3, 48, 48)).softmax(dim=1)[0]
    torch.testing.assert_close(explainer.network.empty, nothing)
    explainer.classifier.source.update(source)
    bundle = save_bundle(explainer, tmp_path / "bundle", {}, [], None)
    (folder / "model.safetensors").unlink()
    loaded = load_explainer(bundle, classifier=classifier)
    torch.testing.assert_close(loaded(images), explainer(images))
    assert "surrogate" in (bundle / "config.json").read_text()  # is told


def test_surrogate_for_other_removals_is_refused(classifier, tmp_path, build):
    transformer, _ = build("class token")
    folder = MaskedSurrogate(transformer.float(), removal="tokens").save(tmp_path / "judge", {})
    with pytest.raises(InputError, match="was trained for removal tokens, and here it is black"):
        ShapleyExplainer(transformer, surrogate=str(folder))
