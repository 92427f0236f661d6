"""Other libraries' transformers as timm's: the same logits, the same tokens after each block."""

import pytest
import torch
import torchvision
from timm.models.vision_transformer import VisionTransformer

from explainers import CDAM, FrozenClassifier, RCut
from explainers.classifier.sources.vit_conversion import as_timm

SIZE = (64, 64)


def torchvision_vit():
    network = torchvision.models.VisionTransformer(
        image_size=64,
        patch_size=16,
        num_layers=3,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=64,
        num_classes=5,
    )
    torch.nn.init.normal_(network.heads.head.weight)  # zeros by default
    return network.eval(), [f"encoder.layers.encoder_layer_{i}" for i in range(3)]


def transformers_vit(kind):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
        num_labels=5,
    )
    network = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    first = next(n for n, part in network.named_modules() if type(part).__name__ == f"{kind}Layer")
    return network, [f"{first.rpartition('.')[0]}.{i}" for i in range(3)]


@pytest.fixture(params=["torchvision", "ViT", "DeiT"])
def network(request):
    """A transformer, and the names of its blocks."""
    torch.manual_seed(0)
    if request.param == "torchvision":
        return torchvision_vit()
    return transformers_vit(request.param)


def outputs(network, names, images):
    found = {}
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda part, arguments, output, name=name: found.update({name: output})
        )
        for name in names
    ]
    with torch.no_grad():
        answer = network(images)
    for handle in handles:
        handle.remove()
    tokens = [found[name][0] if isinstance(found[name], tuple) else found[name] for name in names]
    return getattr(answer, "logits", answer), tokens


def test_logits_and_tokens_of_all_blocks_are_the_same(network):
    original, names = network
    converted = as_timm(original)
    assert isinstance(converted, VisionTransformer)
    images = torch.randn(2, 3, *SIZE)
    expected = outputs(original, names, images)
    actual = outputs(converted, [f"blocks.{i}" for i in range(3)], images)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [CDAM, RCut])
def test_methods_for_transformers_explain_it(network, kind):
    converted = as_timm(network[0])
    classifier = FrozenClassifier(converted, mean=[0.5] * 3, std=[0.5] * 3, size=list(SIZE))
    maps = kind(classifier).explain(torch.rand(1, 3, *SIZE), 2).maps
    assert maps.shape == (1, 1, *SIZE)
    assert maps.max() > maps.min()


def test_a_network_that_answers_otherwise_is_left_as_it_is(network):
    original, names = network
    original.get_submodule(names[1]).register_forward_hook(
        lambda part, arguments, output: (
            (2 * output[0], *output[1:]) if isinstance(output, tuple) else 2 * output
        )
    )
    assert as_timm(original) is original


def test_other_networks_are_left_as_they_are():
    network = torchvision.models.resnet18(weights=None)
    assert as_timm(network) is network
