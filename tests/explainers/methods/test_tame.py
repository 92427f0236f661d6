"""TAME, T-TAME and L-CAM read what was published, and are of the published size."""

import pytest
import torch
import torch.nn.functional as F
from timm.models.vgg import VGG

from explainers import LCAM, TAME, FrozenClassifier
from explainers.errors import InputError
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


def test_tame_reads_the_last_three_layers_of_a_resnet_and_lcam_the_last(images):
    source = FrozenClassifier("test_resnet", pretrained=False)
    model = source.model
    features = model.maxpool(model.act1(model.bn1(model.conv1(source.prepare(images)))))
    outputs = []
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        features = layer(features)
        outputs.append(features)
    for one, expected in zip(TAME(source).network.read(images), outputs[1:], strict=True):
        torch.testing.assert_close(one, expected, rtol=0, atol=5e-5)
    (one,) = LCAM(source).network.read(images)
    torch.testing.assert_close(one, outputs[3], rtol=0, atol=5e-5)


def test_lcam_reads_what_the_last_max_pool_of_a_vgg_takes(vgg, images):
    expected = vgg.model.features[:-1]((images - 0.5) / 0.5)
    (actual,) = LCAM(vgg).network.read(images)
    torch.testing.assert_close(actual, expected)


def test_ttame_reads_the_normalised_patch_tokens_of_the_last_three_blocks(images):
    explainer = TAME({"model": "test_vit", "pretrained": False}, tokens="norm")
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


def literal_norm1(model, images):
    """What the attention of each block reads, of a forward pass that is written out."""
    tokens = model._pos_embed(model.patch_embed(images))
    read = []
    for block in model.blocks:
        normed = F.layer_norm(tokens, tokens.shape[-1:], block.norm1.weight, block.norm1.bias, 1e-6)
        read.append(normed)
        heads = block.attn.num_heads
        parts = F.linear(normed, block.attn.qkv.weight, block.attn.qkv.bias)
        query, key, value = parts.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        tokens = tokens + F.linear(mixed, block.attn.proj.weight, block.attn.proj.bias)
        normed = F.layer_norm(tokens, tokens.shape[-1:], block.norm2.weight, block.norm2.bias, 1e-6)
        hidden = F.gelu(F.linear(normed, block.mlp.fc1.weight, block.mlp.fc1.bias))
        tokens = tokens + F.linear(hidden, block.mlp.fc2.weight, block.mlp.fc2.bias)
    return read


@pytest.mark.parametrize("stages", [None, [1, 4, -1]])
def test_ttame_reads_the_normalised_inputs_of_blocks(stages, images):
    explainer = TAME({"model": "test_vit", "pretrained": False}, stages=stages).double()
    for weight in explainer.classifier.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    model, prepared = explainer.classifier.model, explainer.classifier.prepare(images.double())
    inputs = literal_norm1(model, prepared)
    last = model.forward_features(prepared)
    expected = inputs[3:6] if stages is None else [inputs[1], inputs[4], last]
    logits, actual = explainer.network.read_with_logits(images.double())
    torch.testing.assert_close(logits, explainer.classifier(images.double()))
    for one, again, tokens in zip(
        actual, explainer.network.read(images.double()), expected, strict=True
    ):
        patches = tokens[:, 1:].transpose(1, 2).reshape(3, -1, 96 // 16, 128 // 16)
        torch.testing.assert_close(one, patches, rtol=0, atol=1e-10)
        torch.testing.assert_close(again, one)


def test_the_first_blocks_input_is_refused():
    with pytest.raises(InputError, match=r"stage 0 of test_vit is its first block.*tokens: norm"):
        TAME({"model": "test_vit", "pretrained": False}, stages=[0, 1])


@pytest.mark.parametrize("option", ["tokens", "normalisation"])
def test_unknown_options_are_named(option):
    with pytest.raises(InputError, match=f"unknown {option} 'nrm'"):
        TAME({"model": "test_vit", "pretrained": False}, **{option: "nrm"})


def test_stages_of_ones_own_choice_are_read(source, images):
    explainer = TAME(source, stages=[1, -1], tokens="norm")
    expected = explainer.classifier.features(images, [1, -1])
    for one, maps in zip(explainer.network.read(images), expected, strict=True):
        torch.testing.assert_close(one, maps)


def test_a_max_pool_is_found_only_in_a_chain(vgg):
    assert stages_before_pools(vgg) == [0, 1, 2, 3, 4]
    assert pool_after(vgg, -1) is None
    assert stages_before_pools(FrozenClassifier("resnet18", pretrained=False)) == []
