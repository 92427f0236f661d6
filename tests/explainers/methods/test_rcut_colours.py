"""R-Cut on a transformer that sees nothing but colours."""

import logging

import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from explainers import FrozenClassifier, RCut
from explainers.errors import TargetError

RED, BLUE = torch.tensor([0]), torch.tensor([1])


@pytest.fixture
def colours():
    """Tokens are the mean red, green and blue of 8 x 8 pixels, classes the red and the blue."""
    model = VisionTransformer(
        img_size=64,
        patch_size=8,
        embed_dim=3,
        num_heads=1,
        depth=2,
        num_classes=2,
        global_pool="avg",
        norm_layer=nn.Identity,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.patch_embed.proj.weight += torch.eye(3)[:, :, None, None] / 64
        last = model.blocks[-1].attn  # looks everywhere alike: adds the mean of the tokens to each
        last.qkv.weight[6:] += torch.eye(3)
        last.proj.weight += torch.eye(3)
        model.head.weight += torch.tensor([[40.0, 0, -5], [-5.0, 0, 40]])
    return FrozenClassifier(model, mean=[0] * 3, std=[1] * 3, size=(64, 64)).double()


@pytest.fixture
def two_objects():
    """A red and a blue square (12 and 9 patches) on grey (1 3 64 64), and where each is (1 8 8)."""
    red, blue = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    red[:, 1:5, 1:4] = True
    blue[:, 4:7, 5:8] = True
    image = torch.full((1, 3, 8, 8), 0.2, dtype=torch.float64)
    for index, square in ((0, red), (2, blue)):
        image = torch.where(square[:, None], 0.02, image)
        image[:, index] = torch.where(square, 1.0, image[:, index])
    return image.repeat_interleave(8, 2).repeat_interleave(8, 3), red, blue


def grid(maps):
    """The patches (b 8 8) of maps (b 1 64 64)."""
    return F.avg_pool2d(maps, 8)[:, 0]


def overlap(maps, planted):
    """IoU of the half of the map's range that is high with the planted patches."""
    found = grid(maps) > 0.5
    return ((found & planted).sum() / (found | planted).sum()).item()


def test_cut_finds_a_planted_object(colours, two_objects):
    image, red, _ = two_objects
    image[:, 0][:, :, 40:], image[:, 2][:, :, 40:] = 0.02, 0.5  # all that is not red is blue
    image[:, 0] = torch.where(red.repeat_interleave(8, 1).repeat_interleave(8, 2), 1.0, 0.02)
    assert overlap(RCut(colours, arm="cut").attribute(image, RED), red) == 1


def test_relation_to_the_class_moves_the_map_with_the_class(colours, two_objects):
    image, red, blue = two_objects
    for relation in ("cosine_target", "score", "gradient", "probability_gradient"):
        out = RCut(colours, "out", relation)
        assert overlap(out.attribute(image, RED), red) == 1, relation
        assert overlap(out.attribute(image, BLUE), blue) == 1, relation
    rcut = RCut(colours, "rcut", "cosine_target")
    difference = rcut.attribute(image, RED) - rcut.attribute(image, BLUE)
    assert difference.abs().amax() > 0.5


@pytest.mark.parametrize("sign", ["seed", "out"])
@pytest.mark.parametrize("arm", ["out", "rcut"])
def test_relation_to_all_classes_knows_no_class(arm, sign, colours, two_objects):
    explainer = RCut(colours, arm, "cosine_full", sign=sign)
    maps = [explainer.attribute(two_objects[0], label) for label in (RED, BLUE)]
    assert maps[0].std() > 0
    assert torch.equal(*maps)


def test_sign_of_out_is_the_side_of_the_class(colours, two_objects):
    image, red, blue = two_objects
    for label, wanted, other in ((RED, red, blue), (BLUE, blue, red)):
        maps = grid(RCut(colours, relation="score", sign="out").attribute(image, label))
        assert maps[wanted].mean() > maps[other].mean() + 0.5


def test_channels_of_the_largest_variance_are_kept(colours, two_objects):
    image = two_objects[0]
    image[:, 1] = 0.2  # green is constant: leaving it out of the weighing is all that changes
    explainer = RCut(colours, "out", "score", channels=2)
    last = explainer.transformer.last_block(image)
    weights = explainer._weights(last, image, RED)[0]
    full = RCut(colours, "out", "score")._weights(last, image, RED)[0]
    assert weights[1] == 0
    assert full[1] > 0
    torch.testing.assert_close(weights[[0, 2]], full[[0, 2]], rtol=0, atol=1e-12)
    assert full.amax() == 1


def test_counter_evidence_is_no_evidence(colours, two_objects):
    # Classes are 40 red - 5 blue and 40 blue - 5 red: each has one channel against it.
    explainer = RCut(colours, relation="gradient")
    last = explainer.transformer.last_block(two_objects[0])
    for label, expected in ((RED, [1.0, 0, 0]), (BLUE, [0.0, 0, 1])):
        weights = explainer._weights(last, two_objects[0], label)
        torch.testing.assert_close(weights, torch.tensor([expected], dtype=torch.float64))


def test_counter_evidence_stays_where_it_is_not_clamped(colours, two_objects):
    # The gradient of 40 red - 5 blue, its largest 1.
    explainer = RCut(colours, relation="gradient", clamp=False)
    last = explainer.transformer.last_block(two_objects[0])
    weights = explainer._weights(last, two_objects[0], RED)
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0, -1 / 8]], dtype=torch.float64))


def test_gradient_of_the_probability_is_that_of_the_logit_less_the_mean_of_all(
    colours, two_objects
):
    # dp_red = p_red p_blue (d red - d blue): 40 red - 5 blue less 40 blue - 5 red, over 45.
    explainer = RCut(colours, relation="probability_gradient", clamp=False)
    last = explainer.transformer.last_block(two_objects[0])
    weights = explainer._weights(last, two_objects[0], RED)
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0, -1]], dtype=torch.float64))


def test_a_class_that_is_ruled_out_has_weights_all_the_same(colours, two_objects):
    with torch.no_grad():
        colours.model.head.weight *= 20  # probabilities of 1e-100, lost in float32
    explainer = RCut(colours.float(), "out", "score")
    weights = explainer._weights(
        explainer.transformer.last_block(two_objects[0].float()), two_objects[0].float(), BLUE
    )
    assert weights.isfinite().all()
    assert weights.amax() == 1


def test_without_a_cut_the_map_is_that_of_out_and_said_once(colours, two_objects, caplog):
    image = two_objects[0]  # no colour is negative: at tau 0, all patches are alike
    explainer = RCut(colours, tau=0.0)
    with caplog.at_level(logging.WARNING):
        maps = [explainer.attribute(image, RED) for _ in range(2)]
    assert len(caplog.records) == 1
    assert "said once" in caplog.text
    expected = RCut(colours, arm="out").attribute(image, RED)
    for found in maps:
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert expected.std() > 0


def test_references_are_refused(colours, two_objects):
    with pytest.raises(TargetError, match="RCut explains class labels"):
        RCut(colours)(two_objects[0], torch.rand(1, 3))
