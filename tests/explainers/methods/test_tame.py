"""TAME, T-TAME and L-CAM read what was published, and are of the published size."""

import pytest
import torch
from timm.models.vgg import VGG

from explainers import LCAM, TAME, FrozenClassifier
from explainers.methods.tame import pool_after, stages_before_pools


def trained_weights(explainer):
    return sum(weight.numel() for weight in explainer.parameters() if weight.requires_grad)


@pytest.mark.parametrize(
    ("model", "weights", "shapes"),
    [
        ("vgg16", 1_874_664, [(256, 28), (512, 14), (512, 7)]),
        ("resnet50", 9_100_776, [(512, 28), (1024, 14), (2048, 7)]),
        ("vit_base_patch16_224", 4_081_384, [(768, 14)] * 3),
    ],
)
def test_tame_has_the_published_number_of_weights_and_features(model, weights, shapes):
    with torch.device("meta"):  # shapes only: nothing is drawn, held or computed
        explainer = TAME({"model": model, "pretrained": False})
        features = explainer.network.read(torch.rand(1, 3, 224, 224))
    assert trained_weights(explainer) == weights
    assert [maps.shape[1:] for maps in features] == [(c, side, side) for c, side in shapes]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("vgg16", (512, 14, 14)),
        ("resnet50", (2048, 7, 7)),
        ("vit_base_patch16_224", (768, 14, 14)),
    ],
)
def test_lcam_is_one_convolution_on_the_last_features(model, shape):
    with torch.device("meta"):
        explainer = LCAM({"model": model, "pretrained": False})
        (features,) = explainer.network.read(torch.rand(1, 3, 224, 224))
    assert features.shape[1:] == shape
    assert trained_weights(explainer) == 1000 * (shape[0] + 1)


@pytest.fixture
def vgg():
    """A narrow VGG-11, in the same layers as timm's."""
    plan = [4, "M", 6, "M", 8, 8, "M", 10, 10, "M", 10, 10, "M"]
    module = VGG(plan, num_classes=4, mlp_ratio=0.01)
    return FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[96, 128])


def test_tame_reads_what_the_last_three_max_pools_of_a_vgg_give(vgg, images):
    outputs = []
    features = (images - 0.5) / 0.5
    for layer in vgg.model.features:
        features = layer(features)
        if isinstance(layer, torch.nn.MaxPool2d):
            outputs.append(features)
    actual = TAME(vgg).network.read(images)
    for one, expected in zip(actual, outputs[-3:], strict=True):
        torch.testing.assert_close(one, expected)


def test_lcam_reads_what_the_last_max_pool_of_a_vgg_takes(vgg, images):
    expected = vgg.model.features[:-1]((images - 0.5) / 0.5)
    (actual,) = LCAM(vgg).network.read(images)
    torch.testing.assert_close(actual, expected)


def test_ttame_reads_the_normalised_patch_tokens_of_the_last_three_blocks(images):
    explainer = TAME({"model": "test_vit", "pretrained": False})
    classifier = explainer.classifier
    model = classifier.model
    tokens = []
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output: tokens.append(output))
        for block in model.blocks[-3:]
    ]
    classifier(images)
    for hook in hooks:
        hook.remove()
    actual = explainer.network.read(images)
    assert len(actual) == 3
    for one, output in zip(actual, tokens, strict=True):
        patches = model.norm(output)[:, model.num_prefix_tokens :]
        expected = patches.transpose(1, 2).reshape(3, -1, 96 // 16, 128 // 16)
        torch.testing.assert_close(one, expected)


def test_stages_of_ones_own_choice_are_read(source, images):
    explainer = TAME(source, stages=[1, -1])
    expected = explainer.classifier.features(images, [1, -1])
    for one, maps in zip(explainer.network.read(images), expected, strict=True):
        torch.testing.assert_close(one, maps)


def test_a_max_pool_is_found_only_in_a_chain(vgg):
    assert stages_before_pools(vgg) == [0, 1, 2, 3, 4]
    assert pool_after(vgg, -1) is None
    assert stages_before_pools(FrozenClassifier("resnet18", pretrained=False)) == []
