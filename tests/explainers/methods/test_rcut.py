"""R-Cut on a transformer that sees nothing but colours, and against a slow R-Cut by its text."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from explainers import FrozenClassifier, RCut
from explainers.errors import ArchitectureError, InputError, TargetError

LABELS = torch.tensor([1, 3])
RED, BLUE = torch.tensor([0]), torch.tensor([1])
ARMS = ["out", "cut", "rcut"]
RELATIONS = ["cosine_full", "cosine_target", "score", "gradient", "probability_gradient"]


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


def slow_rcut(classifier, prefix, image, label, tau, relation):
    """R-Cut of one image, channel by channel, through a hook: patches (n) before their min-max."""
    kept = []
    handle = classifier.model.blocks[-1].norm1.register_forward_hook(lambda *p: kept.append(p[-1]))
    whole = classifier(image[None].clone().requires_grad_())[0].softmax(dim=0)
    handle.remove()
    if relation == "released":  # Grad-CAM of the probability, unclamped
        (gradient,) = torch.autograd.grad(whole[label], kept[0])
    tokens, whole = kept[0][0, prefix:].detach(), whole.detach()
    rows = image.shape[1] // classifier.model.patch_embed.patch_size[0]
    weights = list(gradient[0, prefix:].mean(dim=0)) if relation == "released" else []
    weights = [torch.tensor(1.0)] * tokens.shape[1] if relation == "uniform" else weights
    for channel in [] if weights else tokens.T:
        mask = (channel - channel.min()) / (channel.max() - channel.min())
        mask = F.interpolate(mask.view(1, 1, rows, -1), image.shape[-2:], mode="bilinear")[0]
        answer = classifier((image * mask)[None])[0].softmax(dim=0)
        weights.append(
            {
                "cosine_full": answer @ whole / (answer.norm() * whole.norm()),
                "cosine_target": answer[label] / answer.norm(),
                "score": answer[label],
            }[relation]
        )
    weighed = (tokens * torch.stack(weights)).numpy()
    directions = weighed / np.linalg.norm(weighed, axis=1, keepdims=True)
    graph = np.where(directions @ directions.T > tau, 1, 1e-5)
    degrees = np.diag(graph.sum(axis=1))
    values, vectors = np.linalg.eig(np.linalg.solve(degrees, degrees - graph))
    order = np.argsort(values.real)
    if values.real[order[2]] - values.real[order[1]] < 1e-6:
        return torch.from_numpy(weighed.sum(axis=1))
    vector = vectors[:, order[1]].real
    return torch.from_numpy(np.maximum(vector * np.sign(vector[np.abs(vector).argmax()]), 0))


@pytest.mark.parametrize(
    ("relation", "options"),
    [
        ("cosine_full", {"relation": "cosine_full"}),
        ("cosine_target", {"relation": "cosine_target"}),
        ("score", {"relation": "score"}),
        ("released", {"relation": "probability_gradient", "clamp": False}),
        ("uniform", {"arm": "cut"}),
    ],
)
@pytest.mark.parametrize("name", ["class token", "registers", "mean"])
def test_equals_a_slow_one_by_the_text(name, relation, options, build, pictures):
    classifier, prefix = build(name)
    images = pictures[..., :64] if name != "registers" else pictures[:, :, :56, :70]
    images = F.interpolate(images, classifier.size)  # so that the classifier resizes nothing
    maps = RCut(classifier, **options, tau=0.3, chunk_size=7).attribute(images, LABELS)
    for index, label in enumerate(LABELS):
        vector = slow_rcut(classifier, prefix, images[index], label, 0.3, relation)
        vector = (vector - vector.min()) / (vector.max() - vector.min())
        rows = images.shape[2] // classifier.model.patch_embed.patch_size[0]
        expected = F.interpolate(
            vector.view(1, 1, rows, -1), images.shape[-2:], mode="bilinear", align_corners=False
        )
        torch.testing.assert_close(maps[[index]], expected, rtol=0, atol=1e-8)


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


def test_uniform_weights_are_the_plain_cut(build, pictures, monkeypatch):
    classifier, _ = build("class token")
    plain = RCut(classifier, arm="cut")
    assert plain.tau == 0.25
    weighed = RCut(classifier, tau=0.25)
    assert not torch.equal(weighed.attribute(pictures, LABELS), plain.attribute(pictures, LABELS))
    monkeypatch.setattr(
        RCut, "_relations", lambda self, last, tokens, *_: 0.3 * torch.ones_like(tokens[:, 0])
    )
    torch.testing.assert_close(
        weighed.attribute(pictures, LABELS), plain.attribute(pictures, LABELS), rtol=0, atol=1e-12
    )


def test_plain_cut_knows_no_class_and_costs_no_passes(build, pictures):
    explainer = RCut(build("class token")[0], arm="cut")
    passes = []
    explainer.classifier.register_forward_hook(lambda *_: passes.append(1))
    maps = [explainer.attribute(pictures, labels) for labels in (LABELS, LABELS.flip(0))]
    assert torch.equal(*maps)
    assert not passes


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("relation", RELATIONS)
def test_neither_batch_nor_chunks_nor_repetition_make_a_difference(arm, relation, build, pictures):
    classifier, _ = build("rotary registers")
    together = RCut(classifier, arm, relation, chunk_size=50).attribute(pictures, LABELS)
    again = RCut(classifier, arm, relation, chunk_size=50).attribute(pictures, LABELS)
    assert torch.equal(together, again)
    single = RCut(classifier, arm, relation, chunk_size=1)
    assert together.shape == (2, 1, 64, 80)
    for index in range(2):
        alone = single.attribute(pictures[[index]], LABELS[[index]])
        torch.testing.assert_close(together[[index]], alone, rtol=0, atol=1e-8)


def test_chunks_hold_several_images_and_never_too_many(build, pictures):
    explainer = RCut(build("class token")[0], channels=10, chunk_size=16)
    sizes = []
    explainer.classifier.register_forward_hook(lambda *parts: sizes.append(len(parts[-1])))
    explainer.attribute(pictures, LABELS)
    assert sizes == [16, 4]  # 2 images of 10 channels


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


def test_all_channels_by_number_are_all_channels(build, pictures):
    classifier, _ = build("class token")
    width = classifier.model.embed_dim
    few, every = (RCut(classifier, channels=count) for count in (width, None))
    expected = every.attribute(pictures, LABELS)
    torch.testing.assert_close(few.attribute(pictures, LABELS), expected, rtol=0, atol=1e-9)


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


def test_softmax_over_the_channels_leaves_the_plain_cut(build, pictures, monkeypatch):
    # Weights that span 0.0101 to 0.0108, as a softmax of scores does, cut as equal ones do.
    classifier, _ = build("class token")
    plain = RCut(classifier, arm="cut", tau=0.2).attribute(pictures, LABELS)

    def flat(self, last, tokens, *_):
        return torch.linspace(0.0101, 0.0108, tokens.shape[2]).expand(len(tokens), -1).double()

    monkeypatch.setattr(RCut, "_relations", flat)
    weighed = RCut(classifier, tau=0.2).attribute(pictures, LABELS)
    pairs = torch.stack([plain.flatten(1), weighed.flatten(1)], dim=1)
    assert all(torch.corrcoef(pair)[0, 1] > 0.97 for pair in pairs)


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


def test_nothing_stays_on_the_model(build, pictures, assert_untouched):
    for relation in ("gradient", "cosine_target"):
        explainer = RCut(build("distilled")[0], relation=relation)
        before = explainer.classifier.fingerprint()
        with torch.inference_mode():
            explainer.attribute(pictures, LABELS)
        assert_untouched(explainer.classifier, before)


def test_networks_without_tokens_before_an_attention_are_refused(source):
    if source["model"] == "test_vit":
        assert RCut(source).transformer.prefix == 1
        return
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        RCut(source)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "outt"}, "unknown arm 'outt'; did you mean out"),
        ({"relation": "cosine"}, "unknown relation 'cosine'"),
        ({"vector": "logit"}, "unknown vector 'logit'; did you mean logits"),
        ({"sign": "sed"}, "unknown sign 'sed'; did you mean seed"),
        ({"channels": 0}, "channels must be a whole number from 1 to 32, got 0"),
        ({"channels": 33}, "got 33"),
        ({"tau": 1.0}, "tau must be a finite number of at least 0 and below 1, got 1.0"),
        ({"tau": -0.1}, "got -0.1"),
        ({"chunk_size": 0}, "chunk_size must be a whole number from 1 to 100000, got 0"),
        ({"arm": "cut", "sign": "out"}, "knows no class to choose sign='out' by"),
    ],
)
def test_bad_options_are_refused(options, message, build):
    with pytest.raises(InputError, match=message):
        RCut(build("layer scale")[0], **options)


def test_network_without_classes_is_cut_all_the_same(pictures):
    source = {"model": "test_vit", "pretrained": False, "num_classes": 0}
    with pytest.raises(InputError, match="no classes to weigh channels by; use arm='cut'"):
        RCut(source)
    explanation = RCut(source, arm="cut").explain(pictures.float())
    assert explanation.maps.std() > 0
    assert explanation.captions == ["reference"] * len(pictures)


def test_references_are_refused(colours, two_objects):
    with pytest.raises(TargetError, match="RCut explains class labels"):
        RCut(colours)(two_objects[0], torch.rand(1, 3))
