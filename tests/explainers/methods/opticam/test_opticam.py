"""Opti-CAM against the method as it is written: one image at a time, with torch's own Adam."""

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models.vgg import VGG

from explainers import FrozenClassifier, OptiCAM
from explainers.methods.cam.channel_maps import NORMALISATIONS
from explainers.methods.cam.target_scores import TARGET_SCORES

LABELS = torch.tensor([0, 2, 3])
KINDS = ["test_resnet", "test_vit"]


def exact(explainer, images, target):
    """Maps in the precision of the images, which `forward` rounds to float32."""
    return explainer.attribute(images, target)


def tapped(classifier, image):
    """Output of the layer (channels h w), read by a hook."""
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
