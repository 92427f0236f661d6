"""Features of a network of one's own: found or named layers, in one pass, nothing left behind."""

import threading

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from explainers import FAM, LCAM, TAME, ActivationMap, FrozenClassifier, OptiCAM, PTAMEPlus
from explainers.errors import InputError

IMAGE = {"mean": [0.4] * 3, "std": [0.2] * 3}


class Convolutions(nn.Module):
    """Four stages, a pooling, and a hidden layer between it and the logits where asked for."""

    def __init__(self, hidden=False):
        super().__init__()
        widths = [3, 4, 8, 12, 16]
        self.body = nn.ModuleDict(
            {f"part{i}": self.part(widths[i], widths[i + 1]) for i in range(4)}
        )
        self.hidden = nn.Linear(16, 10) if hidden else nn.Identity()
        self.head = nn.Linear(10 if hidden else 16, 5)

    @staticmethod
    def part(count, width):
        return nn.Sequential(nn.Conv2d(count, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x):
        for part in self.body.values():
            x = part(x)
        return {"logits": self.head(self.hidden(x.mean((2, 3))))}


class Tokens(nn.Module):
    """Two prefix tokens and patches of 8 pixels, through three blocks; the first decides."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        self.prefix = nn.Parameter(torch.randn(1, 2, 16))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(3)
        )
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        patches = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.prefix.expand(len(x), -1, -1), patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return (self.head(self.norm(tokens)[:, 0]), tokens)


def frozen(network, size=(64, 96), **options):
    torch.manual_seed(0)
    return FrozenClassifier(network, size=list(size), **IMAGE, **options)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_stages_of_convolutions_are_found_and_read_in_one_pass(images):
    classifier = frozen(Convolutions())
    assert [layer.name for layer in classifier.reader.layers] == [
        "body.part1",
        "body.part2",
        "body.part3",
        "body.part3",
    ]
    assert [(s.channels, s.reduction) for s in classifier.stages] == [
        (8, 4),
        (12, 8),
        (16, 16),
        (16, 16),
    ]
    calls = []
    classifier.model.register_forward_hook(lambda *_: calls.append(1))
    logits, (deep, fine) = classifier.logits_and_features(images, [-1, 0])
    assert calls == [1]
    x, seen = (images - 0.4) / 0.2, []
    for part in classifier.model.body.values():
        x = part(x)
        seen.append(x)
    torch.testing.assert_close(fine, seen[1])
    torch.testing.assert_close(deep, seen[3])
    torch.testing.assert_close(logits, classifier(images))
    torch.testing.assert_close(classifier.embed(images), seen[3].mean((2, 3)))
    assert classifier.class_weights is not None
    torch.testing.assert_close(
        classifier.embed(images) @ classifier.class_weights.T + classifier.class_bias, logits
    )


def test_tokens_are_laid_out_as_maps_without_those_of_the_prefix(images):
    classifier = frozen(Tokens())
    layers = classifier.reader.layers
    assert [layer.name for layer in layers] == ["blocks.0", "blocks.1", "blocks.2", "norm"]
    assert {layer.prefix for layer in layers} == {2}
    (maps,) = classifier.features(images, [1])
    assert maps.shape == (2, 16, 8, 12)
    captured = []
    handle = classifier.model.blocks[1].register_forward_hook(lambda *a: captured.append(a[-1]))
    classifier(images)
    handle.remove()
    torch.testing.assert_close(maps[:, :, 3, 5], captured[0][:, 2 + 3 * 12 + 5])


@pytest.mark.parametrize("network", [Convolutions, Tokens])
def test_methods_that_need_features_explain_it(network, images):
    classifier = frozen(network())
    for kind in (ActivationMap, OptiCAM, PTAMEPlus, LCAM, TAME):
        explainer = kind(classifier, **({"steps": 2} if kind is OptiCAM else {})).eval()
        maps = explainer.explain(images, 3).maps
        assert maps.shape == (2, 1, 64, 96), kind
        assert maps.isfinite().all(), kind
    fam = FAM(classifier)
    assert fam.explain(images, fam.embed(images.flip(0))).maps.shape == (2, 1, 64, 96)


def test_named_layers_are_read_in_their_order(images):
    classifier = frozen(Convolutions(), layers=["body.part0", "body.part2.1"])
    first, second, pooled = classifier.features(images, [0, 1, -1])
    assert first.shape == (2, 4, 32, 48)
    assert second.shape == (2, 12, 8, 12)
    assert torch.equal(second, pooled)
    assert classifier.source["layers"] == ["body.part0", "body.part2.1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["body.part9"]}, r"has no layer 'body\.part9'; did you mean body\.part"),
        ({"layers": ["head"]}, r"'head' of Convolutions puts out neither .* body\.part3 \(1, 16"),
        ({"layers": []}, r"layers must be a list of names of layers, got \[\]"),
        ({"layers": "body.part1"}, "layers must be a list of names"),
        ({"classifier_layer": "body"}, "classifier_layer 'body' is no linear layer"),
        ({"classifier_layer": 3}, "classifier_layer must be the name of a layer, got 3"),
    ],
)
def test_bad_names_of_layers(options, message):
    with pytest.raises(InputError, match=message):
        frozen(Convolutions(), **options)


def test_a_last_layer_that_cannot_be_told_has_to_be_named(images):
    class Scaled(Convolutions):
        def forward(self, x):
            return 2 * super().forward(x)["logits"]

    classifier = frozen(Scaled())
    with pytest.raises(InputError, match="name it as classifier_layer: head"):
        _ = classifier.class_weights
    assert frozen(Scaled(), classifier_layer="head").class_weights.shape == (5, 16)


def test_a_hidden_layer_before_the_logits_has_no_class_rows():
    with pytest.raises(InputError, match="does not decide by one linear layer on its pooled"):
        _ = frozen(Convolutions(hidden=True)).class_weights


def test_a_network_without_places_has_no_features():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5))
    with pytest.raises(InputError, match="no layer of Sequential puts out maps or tokens"):
        _ = frozen(flat, size=(16, 16)).stages


def test_nothing_is_left_and_threads_do_not_mix(images, assert_untouched):
    classifier = frozen(Convolutions())
    expected = [classifier.features(one[None], [1])[0] for one in images]
    failures = []

    def read(index):
        for _ in range(30):
            (found,) = classifier.features(images[index : index + 1], [1])
            if not torch.equal(found, expected[index]):
                failures.append(index)

    threads = [threading.Thread(target=read, args=(index,)) for index in (0, 1) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not any(part._forward_hooks for part in classifier.modules())
    assert not any(part._forward_pre_hooks for part in classifier.modules())


def test_pooled_layer_is_the_one_that_ends_last_also_where_it_changes_an_output_in_place():
    """A ResNet of single blocks: the last layer before its pooling is no branch of the last block."""
    network = ResNet(Bottleneck, [1, 1, 1, 1], num_classes=4)
    classifier = FrozenClassifier(network, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 64])
    images = torch.rand(2, 3, 64, 64)
    (pooled,) = classifier.features(images, [-1])
    torch.testing.assert_close(pooled.mean((2, 3)), classifier.embed(images))
