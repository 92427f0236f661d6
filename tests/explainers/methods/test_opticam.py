"""Opti-CAM against the method as it is written: one image at a time, with torch's own Adam."""

from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models.vgg import VGG
from torch.utils.data import Subset

import explainers.methods.opticam
from explainers import FrozenClassifier, OptiCAM
from explainers.errors import InputError
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.methods.cam.channel_maps import (
    NORMALISATIONS,
    channel_maps,
    combine,
    default_stage,
)
from explainers.methods.cam.target_scores import TARGET_SCORES

LABELS = torch.tensor([0, 2, 3])
KINDS = ["test_resnet", "test_vit"]


@pytest.fixture(params=KINDS)
def architecture(request):
    """One network with maps and one with tokens."""
    return request.param


@pytest.fixture
def classifier(source):
    """Random weights in float64; the last layer scaled up, to tell classes apart."""
    made = FrozenClassifier.of(source)
    torch.nn.init.normal_(made.model.get_classifier().weight, std=1.0)
    return made.double()


@pytest.fixture
def images():
    """Three images (3 3 64 96) in [0, 1], wider than high."""
    return torch.rand(3, 3, 64, 96, dtype=torch.float64)


def exact(explainer, images, target):
    """Maps in the precision of the images, which `forward` rounds to float32."""
    return explainer.attribute(images, target)


@contextmanager
def passes(classifier):
    """How many images each pass of the classifier shows it."""
    shown = []
    first = next(part for part in classifier.modules() if part._parameters and not part._modules)
    handle = first.register_forward_pre_hook(lambda module, inputs: shown.append(len(inputs[0])))
    yield shown
    handle.remove()


def tapped(classifier, image):
    """What the layer puts out (channels h w), read by a hook."""
    model = classifier.model
    read = []
    layer = model.blocks[-1].norm1 if hasattr(model, "blocks") else None
    if layer is None:
        (features,) = model.forward_features(((image - classifier.mean) / classifier.std)[None])
        return features.relu()
    handle = layer.register_forward_hook(lambda module, arguments, output: read.append(output))
    classifier(image[None])
    handle.remove()
    patches = read[0][0, model.num_prefix_tokens :]  # (patches channels)
    height, width = (side // model.patch_embed.patch_size[0] for side in image.shape[1:])
    return patches.T.reshape(-1, height, width).relu()


def slow_opticam(classifier, image, label, steps, score=None):
    """The mask (1 h w) of one image, in the formulas' own order."""
    features = tapped(classifier, image).detach()
    u = torch.zeros(len(features), dtype=image.dtype, requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1)

    def mask():
        weights = u.exp() / u.exp().sum()
        total = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
        large = F.interpolate(total[None, None], image.shape[1:], mode="bilinear")[0]
        return (large - large.min()) / (large.max() - large.min())

    for _ in range(steps):
        adam.zero_grad()
        masked = (image * mask())[None]
        value = classifier(masked)[0, label] if score is None else score(masked)
        (-value).backward()
        adam.step()
    return mask().detach()


@pytest.mark.parametrize("architecture", [*KINDS, "test_convnext"], indirect=True)
def test_equals_the_slow_loop(classifier, images):
    explainer = OptiCAM(classifier, steps=6, chunk_size=2)
    expected = [
        slow_opticam(classifier, *one, 6) for one in zip(images, LABELS.tolist(), strict=True)
    ]
    assert torch.stack(expected).std() > 0.05
    torch.testing.assert_close(
        exact(explainer, images, LABELS), torch.stack(expected), rtol=0, atol=1e-10
    )


def test_equals_the_slow_loop_for_a_reference(classifier, images):
    references = classifier.embed(torch.rand_like(images))
    explainer = OptiCAM(classifier, steps=5)
    expected = []
    for image, reference in zip(images, references, strict=True):

        def similarity(masked, reference=reference):
            embedding = classifier.embed(masked)[0]
            return embedding @ reference / (embedding.norm() * reference.norm())

        expected.append(slow_opticam(classifier, image, None, 5, similarity))
    torch.testing.assert_close(
        exact(explainer, images, references), torch.stack(expected), rtol=0, atol=1e-10
    )


def published_opticam(classifier, layer, images, labels, rectify):
    """Masks (b 1 h w) after the 100 steps of the paper: one Adam on the sum over the batch.

    Args:
        classifier: the model.
        layer: module whose output is mixed: maps (b channels _ _), or tokens after a class token.
        images: (b 3 h w).
        labels: the classes (b).
        rectify: leave out negative features.
    """
    read = []
    handle = layer.register_forward_hook(lambda module, inputs, output: read.append(output.clone()))
    classifier(images)
    handle.remove()
    (features,) = read
    if features.ndim == 3:
        rows = images.shape[2] // classifier.model.patch_embed.patch_size[0]
        features = features[:, 1:].transpose(1, 2).unflatten(2, (rows, -1))
    features = features.clamp(min=0) if rectify else features
    u = torch.zeros(*features.shape[:2], 1, 1, dtype=images.dtype, requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1)

    def masks():
        mixed = (torch.softmax(u, dim=1) * features).sum(dim=1, keepdim=True)
        large = F.interpolate(mixed, images.shape[2:], mode="bilinear", align_corners=False)
        low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
        return (large - low) / (high - low)

    for _ in range(100):
        adam.zero_grad()
        (-classifier(images * masks()).gather(1, labels[:, None]).sum()).backward()
        adam.step()
    return masks().detach()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("network", ["VGG, before its last pool", "ViT", "ViT, as the paper"])
def test_equals_the_published_loop_after_100_steps(network, count, images):
    torch.manual_seed(1)
    if network.startswith("VGG"):
        model = VGG([8, "M", 16, 16, "M"], num_classes=4, mlp_ratio=0.01)
        layer = model.features[6]  # the activation of the last convolution; a max-pool follows
    else:
        model = timm.create_model("test_vit", num_classes=4)
        layer = model.blocks[-1].norm1
        # As drawn, a norm leaves each token a mean of 0: the equal mix would be rounding noise.
        torch.nn.init.normal_(layer.weight, std=1.0)
    classifier = FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(64, 96))
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    classifier.double()
    rectify = network != "ViT, as the paper"
    explainer = OptiCAM(classifier, preset="paper", positive_part=rectify)
    expected = published_opticam(classifier, layer, images[:count], LABELS[:count], rectify)
    actual = exact(explainer, images[:count], LABELS[:count])
    assert expected.std() > 0.05
    torch.testing.assert_close(actual, expected, rtol=0, atol=4e-14)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"selector": "probability"},
        {"selector": "margin", "keep_best": True},
        {"objective": "difference", "normalisation": "max"},
        {"deletion_weight": 0.5, "area_weight": 2.0, "area_budget": 0.2},
        {"patience": 2, "tolerance": 0.05, "keep_best": True},
    ],
    ids=str,
)
def test_batch_equals_one_by_one(classifier, images, options):
    explainer = OptiCAM(classifier, **({"steps": 5} | options))
    alone = [exact(explainer, images[i : i + 1], LABELS[i : i + 1])[0] for i in range(len(images))]
    torch.testing.assert_close(
        exact(explainer, images, LABELS), torch.stack(alone), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("selector", TARGET_SCORES)
def test_gradient_equals_finite_differences(classifier, images, selector, normalisation):
    options = {"deletion_weight": 0.3, "area_weight": 0.7, "area_budget": 0.1}
    explainer = OptiCAM(classifier, selector=selector, normalisation=normalisation, **options)
    rows = explainer._rows(images[:2], LABELS[:2])
    u = torch.randn_like(rows["features"][:, :, 0, 0]).requires_grad_()
    direction = torch.randn_like(u)
    (gradient,) = torch.autograd.grad(explainer._objective(u, rows).sum(), u)
    with torch.no_grad():
        above, below = (explainer._objective(u + h * direction, rows) for h in (1e-6, -1e-6))
    slope = (gradient * direction).sum(dim=1)
    torch.testing.assert_close(slope, (above - below) / 2e-6, rtol=1e-5, atol=1e-8)


def test_weighs_the_last_block_and_not_what_widens_it_for_the_head(images):
    classifier = FrozenClassifier("tf_efficientnet_lite0", pretrained=False)
    assert channel_maps(classifier, images[:1].float()).shape == (1, 320, 2, 3)
    assert channel_maps(classifier, images[:1].float(), stage=-1).shape == (1, 1280, 2, 3)


def test_weighs_the_last_convolution_of_vgg_before_its_max_pool():
    with torch.device("meta"):
        model = timm.create_model("vgg16_bn")
        resnet = timm.create_model("resnet50")
    stage = default_stage(model)
    assert model.feature_info[stage + 1]["module"] == "features.42"  # the stages have one more
    assert model.feature_info[stage + 1]["reduction"] * 14 == 224
    assert default_stage(resnet) == -2


def test_layer_after_the_pool_can_be_chosen(images):
    model = VGG([8, "M", 16, 16, "M"], num_classes=4, mlp_ratio=0.01)
    classifier = FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(64, 96))
    before, after = (channel_maps(classifier, images.float(), stage) for stage in (None, -2))
    assert before.shape == (3, 16, 32, 48)
    torch.testing.assert_close(after, F.max_pool2d(before, 2))


def test_negative_features_are_left_out_unless_asked_for(images):
    classifier = FrozenClassifier("test_vit", pretrained=False)
    kept = channel_maps(classifier, images.float(), positive_part=False)
    assert (kept < 0).any()
    assert torch.equal(channel_maps(classifier, images.float()), kept.clamp(min=0))


def test_starts_from_the_mean_of_the_channels(classifier, images):
    features = channel_maps(classifier, images)
    start = combine(features, features.new_zeros(features.shape[:2]))
    torch.testing.assert_close(start, features.mean(dim=1, keepdim=True))
    assert start.std() > 0


def test_constant_layer_gives_zeros_and_is_counted(classifier, images, monkeypatch):
    def first_is_constant(*arguments):
        features = channel_maps(*arguments)
        features[0] = 0.1
        return features

    monkeypatch.setattr(explainers.methods.opticam, "channel_maps", first_is_constant)
    explainer = OptiCAM(classifier, steps=3)
    maps = explainer(images, LABELS)
    assert not maps[0].any()
    assert (maps[1:].amax(dim=(1, 2, 3)) == 1).all()
    classifier.float()
    case = ExplainedBatch(
        images.float(), LABELS, maps, explainer.to_maps(maps), classifier, explainer
    )
    values = Scoreboard(["average_gain"]).update(case)["average_gain"]
    assert values.isnan().tolist() == [True, False, False]


@pytest.mark.parametrize("selector", TARGET_SCORES)
def test_class_of_no_probability(source, images, selector):
    classifier = FrozenClassifier.of(source)
    classifier.model.get_classifier().bias[1] = -1e4
    labels = torch.ones(3, dtype=torch.long)
    assert not classifier(images.float()).softmax(dim=1)[:, 1].any()
    maps = OptiCAM(classifier, selector=selector, steps=3)(images.float(), labels)
    assert maps.isfinite().all()
    assert (maps.amax(dim=(1, 2, 3)) == 1).all()


@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps_of_one_image(classifier, images, steps):
    found = OptiCAM(classifier, steps=steps).optimise(images[:1], LABELS[:1])
    assert found.maps.shape == (1, 1, 64, 96)
    # Adam's first step is the learning rate, wherever there is a gradient.
    assert found.weights.abs().max() == pytest.approx(0.1 * steps, rel=0.05)
    assert found.curve.shape == (1, steps)


def test_objective_rises(classifier, images):
    curve = OptiCAM(classifier, steps=12).optimise(images, LABELS).curve
    assert (curve[:, -1] > curve[:, 0]).all()


def test_keep_best_answers_with_the_best_step(classifier, images):
    explainer = OptiCAM(classifier, steps=8, lr=3.0, keep_best=True)
    found = explainer.optimise(images, LABELS)
    last = OptiCAM(classifier, steps=8, lr=3.0).optimise(images, LABELS)
    rows = explainer._rows(images, LABELS)
    best = found.curve.amax(dim=1).maximum(explainer._objective(last.weights, rows))
    torch.testing.assert_close(explainer._objective(found.weights, rows), best)
    assert not torch.equal(found.weights, last.weights)


def test_patience_stops_each_image_for_itself_and_shrinks_the_batch(classifier, images):
    free = OptiCAM(classifier, steps=12).optimise(images, LABELS).curve
    tolerance = float((free[:, 6] - free[:, 4]).median())
    explainer = OptiCAM(classifier, steps=12, patience=2, tolerance=tolerance)
    with passes(classifier) as shown:
        curve = explainer.optimise(images, LABELS).curve
    taken = (~curve.isnan()).sum(dim=1)
    assert taken.min() < taken.max()
    assert sum(shown) == len(images) + taken.sum()
    for row, whole, count in zip(curve, free, taken.tolist(), strict=True):
        torch.testing.assert_close(row[:count], whole[:count])
        bar, stale = -float("inf"), 0
        for step, value in enumerate(row[:count].tolist(), 1):
            bar, stale = (value, 0) if value > bar + tolerance else (bar, stale + 1)
            assert (stale < 2) == (step < count) or step == 12


def test_takes_one_pass_a_step_and_one_for_the_features(classifier, images):
    with passes(classifier) as shown:
        OptiCAM(classifier, steps=7, chunk_size=2)(images, LABELS)
    assert sum(shown) == 8 * 3
    assert max(shown) == 2


def test_area_weight_shrinks_the_mask(classifier, images):
    areas = [
        OptiCAM(classifier, steps=10, area_weight=weight)(images, LABELS).mean()
        for weight in (0.0, 1e3)
    ]
    assert areas[1] < areas[0]


def test_mask_within_the_budget_costs_nothing(classifier, images):
    plain, budgeted = (
        OptiCAM(classifier, steps=5, **options)(images, LABELS)
        for options in ({}, {"area_weight": 1e3, "area_budget": 1.0})
    )
    assert torch.equal(plain, budgeted)


def test_reference_of_another_width_is_refused(classifier, images):
    with pytest.raises(InputError, match=r"references must be finite and \(3 \d+\).*\(3, 3\)"):
        OptiCAM(classifier)(images, torch.randn(3, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "papers"}, "unknown preset 'papers'; did you mean paper"),
        ({"selector": "logits"}, "unknown selector 'logits'; did you mean logit"),
        ({"objective": "masks"}, "unknown objective 'masks'; did you mean mask"),
        ({"normalisation": "min"}, "unknown normalisation 'min'"),
        ({"normalisation": "max", "positive_part": False}, "keeps negative features negative"),
        ({"steps": 0}, "steps must be a whole number from 1 to 100000, got 0"),
        ({"patience": 0}, "patience must be a whole number from 1 to 100000, got 0"),
        ({"chunk_size": 0}, "chunk_size must be a whole number from 1 to 100000, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        OptiCAM({"model": "test_resnet", "pretrained": False}, **options)


def test_presets():
    classifier = FrozenClassifier("test_resnet", pretrained=False)
    assert OptiCAM(classifier).adam.steps == 50
    assert OptiCAM(classifier, preset="paper").adam.steps == 100
    assert OptiCAM(classifier, preset="paper", steps=7).adam.steps == 7


@pytest.mark.slow
@pytest.mark.skipif(find_spec("foolbox") is None, reason="needs the packages of the extra demo")
def test_masks_of_real_photographs_raise_the_probability():
    from datamodules import PhotosDataModule

    data = PhotosDataModule(size=112, crop_fraction=1.0, batch_size=5, num_workers=0)
    data.setup("test")
    data.test_set = Subset(data.test_set, range(0, 20, 4))
    # After one step the figures are 32, 40 and 13.
    explainer = OptiCAM("package:efficientnet_lite0", preset="paper", steps=30)
    scores = Scoreboard(["average_drop", "average_increase", "average_gain"])
    for batch in data.test_dataloader():
        images = batch["image"]
        labels = explainer.resolve_target(images, None)
        maps = explainer(images, labels)
        scores.update(ExplainedBatch(images, labels, maps, maps, explainer.classifier, explainer))
    figures = scores.compute()
    assert figures["average_drop"] < 1
    assert figures["average_increase"] > 90
    assert figures["average_gain"] > 65
