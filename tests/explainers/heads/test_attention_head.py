"""The per-row head equals the published one, written out literally."""

import pytest
import torch
import torch.nn.functional as F

from explainers.errors import InputError
from explainers.heads.attention_head import AttentionHead, double_up_to

CHANNELS = [3, 5, 4]


@pytest.fixture
def features():
    """Three maps of falling resolution, for two images, in float64."""
    sizes = [(12, 16), (6, 8), (3, 4)]
    return [
        torch.randn(2, channels, *size, dtype=torch.float64)
        for channels, size in zip(CHANNELS, sizes, strict=True)
    ]


def literal(head, features):
    """Upsample in the head's way, concatenate, and compute the maps of all classes."""
    branches = []
    for branch, maps in zip(head.branches, features, strict=True):
        out = F.relu(maps + branch.norm(branch.convolution(maps)))
        if head.upsampling == "cascade":
            while out.shape[-2:] != (12, 16):
                out = F.interpolate(out, scale_factor=2, mode="bilinear", align_corners=False)
        else:
            out = F.interpolate(out, (12, 16), mode="bilinear", align_corners=False)
        branches.append(out)
    together = torch.cat(branches, dim=1)
    weight = head.fuser.weight[:, :, None, None]
    return F.conv2d(together, weight, head.fuser.bias)


@pytest.fixture(params=["direct", "cascade"])
def upsampling(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["no bias", "bias"])
def head(request, upsampling):
    return AttentionHead(CHANNELS, 7, bias=request.param, upsampling=upsampling).double()


@pytest.mark.parametrize("training", [True, False])
def test_one_class_an_image_equals_the_published_head(head, features, training):
    head.train(training)
    labels = torch.tensor([6, 2])
    expected = literal(head, features)[torch.arange(2), labels][:, None]
    torch.testing.assert_close(head(features, labels), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_same_classes_for_all_equal_the_published_head(head, features, training):
    head.train(training)
    labels = torch.tensor([6, 2, 2])
    expected = literal(head, features)[:, labels]
    torch.testing.assert_close(head(features, labels[None]), expected, rtol=0, atol=1e-12)


def test_classes_that_differ_from_image_to_image_equal_the_published_head(head, features):
    labels = torch.tensor([[6, 2, 2], [0, 1, 2]])
    every_class = literal(head, features)
    expected = torch.stack([every_class[image, labels[image]] for image in range(2)])
    torch.testing.assert_close(head(features, labels), expected, rtol=0, atol=1e-12)


def test_gradients_equal_those_of_the_published_head(head, features):
    labels = torch.tensor([6, 2])
    ours, theirs = (
        torch.autograd.grad(scores.square().sum(), list(head.parameters()))
        for scores in (
            head(features, labels[None]),
            literal(head, features)[:, labels],
        )
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_starts_from_cam_as_sigmoid_logits_of_the_class_activation_map(features):
    head = AttentionHead(CHANNELS, num_classes=7).double()
    class_weights = torch.randn(7, CHANNELS[-1], dtype=torch.float64)
    features[-1] = features[-1].relu()  # as what a network pools is
    head.start_from_cam(class_weights, gain=0.5, offset=-2.0)
    cam = torch.einsum("bchw,c->bhw", features[-1], class_weights[3])[:, None]
    expected = 0.5 * F.interpolate(cam, (12, 16), mode="bilinear") - 2.0
    actual = head(features, torch.tensor([3, 3]))
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_cascade_doubles_twice_where_the_size_is_four_times_as_large():
    maps = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    twice = maps
    for _ in range(2):
        twice = F.interpolate(twice, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(double_up_to(maps, (12, 16)), twice)
    direct = F.interpolate(maps, (12, 16), mode="bilinear", align_corners=False)
    assert (twice - direct).abs().max() > 0.05


def test_cascade_ends_with_one_step_to_a_size_that_doubling_does_not_reach():
    maps = torch.randn(1, 1, 3, 5, dtype=torch.float64)
    once = F.interpolate(maps, (6, 10), mode="bilinear", align_corners=False)
    expected = F.interpolate(once, (13, 19), mode="bilinear", align_corners=False)
    assert torch.equal(double_up_to(maps, (13, 19)), expected)


def test_cascade_leaves_maps_of_the_size_as_they_are():
    maps = torch.randn(1, 1, 3, 5)
    assert double_up_to(maps, (3, 5)) is maps


def test_unknown_upsampling_is_named():
    with pytest.raises(InputError, match="unknown upsampling 'cascades'; did you mean cascade"):
        AttentionHead(CHANNELS, 7, upsampling="cascades")
