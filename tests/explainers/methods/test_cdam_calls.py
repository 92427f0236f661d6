"""CDAM of several classes, batches and image sizes, and the calls that it refuses."""

import pytest
import timm
import torch

from explainers import CDAM, FrozenClassifier, IntegratedCDAM, SmoothCDAM
from explainers.classifier.concept import concept_embedding
from explainers.errors import ArchitectureError, InputError

LABELS = torch.tensor([1, 3])


def test_difference_of_two_maps_is_the_map_of_the_difference(transformer, pictures):
    classifier, _ = transformer
    explainer = CDAM(classifier)
    last = explainer.transformer.last_block(pictures)
    labels = torch.tensor([[1, 4], [3, 0]])

    def difference(tokens):
        one, other = explainer.value(tokens, labels).unbind(dim=1)
        return (one - other)[:, None]

    both = explainer.last_scores(last, lambda tokens: explainer.value(tokens, labels))
    actual = explainer.last_scores(last, difference)[:, 0]
    torch.testing.assert_close(actual, both[:, 0] - both[:, 1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", [CDAM, SmoothCDAM, IntegratedCDAM])
def test_several_classes_in_one_call_are_each_as_alone(kind, build, pictures):
    explainer = kind(build("class token")[0].float())
    images = pictures.float()
    labels = torch.tensor([[1, 4, 0], [3, 3, 2]])
    together = explainer.scores_of_classes(images, labels)
    assert together.shape == (2, 3, 64, 80)
    alone = torch.cat([explainer(images, labels[:, k]) for k in range(3)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    with torch.inference_mode():
        again = explainer.scores_of_classes(images, labels)
    torch.testing.assert_close(again.clone(), together)


def test_several_classes_share_one_pass(build, pictures):
    explainer = CDAM(build("class token")[0])
    passes = []
    explainer.classifier.model.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    explainer.scores_of_classes(pictures, torch.tensor([[1, 4, 0], [3, 3, 2]]))
    assert len(passes) == 1


def test_several_classes_are_checked(build, pictures):
    explainer = CDAM(build("class token")[0])
    with pytest.raises(InputError, match="target 5 is outside"):
        explainer.scores_of_classes(pictures, torch.tensor([[1, 4], [3, 5]]))
    with pytest.raises(InputError, match=r"labels must be \(b k\)"):
        explainer.scores_of_classes(pictures, LABELS)
    with pytest.raises(InputError, match="2 images need as many targets, got 1"):
        explainer.scores_of_classes(pictures, torch.tensor([[1, 4]]))


def test_batch_equals_one_by_one(transformer, pictures):
    classifier, _ = transformer
    for explainer in (
        CDAM(classifier),
        SmoothCDAM(classifier, samples=3),
        IntegratedCDAM(classifier, steps=3),
    ):
        together = explainer.attribute(pictures, LABELS)
        alone = [explainer.attribute(pictures[[i]], LABELS[[i]]) for i in range(2)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-10)


def test_smooth_without_noise_is_the_plain_map_exactly(build, pictures):
    classifier = build("registers")[0].float()
    images = pictures.float()
    smooth = SmoothCDAM(classifier, samples=7, noise=0.0)
    assert torch.equal(smooth(images, LABELS), CDAM(classifier)(images, LABELS))


def test_references_that_are_no_embeddings_are_refused(build, pictures):
    explainer = CDAM(build("class token")[0])
    with pytest.raises(InputError, match=r"must be finite and \(2 64\), .* got \(2, 63\)$"):
        explainer(pictures, torch.rand(2, 63))
    with pytest.raises(InputError, match="some are NaN or infinite"):
        explainer(pictures, torch.full((2, 64), torch.nan))


def test_network_without_classes_explains_concepts_alone(pictures):
    model = timm.create_model("test_vit", num_classes=0, depth=2)
    explainer = CDAM(FrozenClassifier(model))
    images = pictures.float()
    references = concept_embedding(explainer.classifier, images).expand(2, -1)
    explanation = explainer.explain(images, references)
    assert explanation.scores.abs().amax() > 0
    assert explanation.probabilities.isnan().all()
    with pytest.raises(InputError, match="has no classes; give reference embeddings"):
        explainer(images)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("test_resnet", {}, "is a ResNet, and this method needs a vision transformer"),
        ("swin_tiny_patch4_window7_224", {"depths": (1,)}, "is a SwinTransformer, and"),
        ("test_vit", {"block_fn": "ResPostBlock"}, "the last a ResPostBlock"),
        ("test_vit", {"block_fn": "ParallelScalingBlock"}, "the last a ParallelScalingBlock"),
        ("test_vit", {"depth": 1}, "has 1 blocks"),
    ],
)
def test_other_networks_are_refused_with_the_reason(name, options, reason):
    if "block_fn" in options:
        options = {"block_fn": getattr(timm.models.vision_transformer, options["block_fn"])}
    model = timm.create_model(name, num_classes=4, **options)
    with pytest.raises(ArchitectureError, match=reason):
        CDAM(FrozenClassifier(model))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SmoothCDAM, {"samples": 0}, "samples must be a whole number from 1 to 100000, got 0"),
        (SmoothCDAM, {"noise": -0.1}, r"noise must be a finite number of at least 0, got -0\.1"),
        (SmoothCDAM, {"seed": -1}, "seed must be a whole number from 0 to .* got -1"),
        (IntegratedCDAM, {"path": "norm"}, "unknown path 'norm'; did you mean pre_norm, post_norm"),
        (IntegratedCDAM, {"steps": 1}, "steps must be a whole number from 2 to 100000, got 1"),
    ],
)
def test_settings_without_sense_are_refused(kind, options, message, build):
    with pytest.raises(InputError, match=message):
        kind(build("class token")[0], **options)


def test_image_that_is_not_square_is_scored_patch_by_patch(build):
    options = {"depth": 2, "embed_dim": 32, "num_heads": 2, "dynamic_img_size": True}
    model = timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=4, **options)
    scores = CDAM(FrozenClassifier(model))(torch.rand(1, 3, 224, 168), torch.tensor([2]))
    assert scores.shape == (1, 1, 224, 168)
    cells = scores[0, 0].unfold(0, 14, 14).unfold(1, 14, 14)  # (16 12 14 14)
    assert (cells == cells[..., :1, :1]).all()
    assert len(scores.unique()) == 16 * 12


def test_token_lands_on_the_pixels_of_its_patch(build):
    explainer = CDAM(build("class token")[0])
    images = torch.zeros(1, 3, 48, 80)
    scores = torch.zeros(1, 1, 3 * 5)
    scores[0, 0, 1 * 5 + 3] = 1.0  # row 1, column 3
    expected = torch.zeros(1, 1, 48, 80)
    expected[..., 16:32, 48:64] = 1.0
    assert torch.equal(explainer.transformer.place(scores, images), expected)
