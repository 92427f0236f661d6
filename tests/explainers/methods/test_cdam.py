"""CDAM against plain autograd through the whole network."""

import pytest
import torch
import torch.nn.functional as F

from explainers import CDAM, IntegratedCDAM, SmoothCDAM
from explainers.classifier.concept import concept_embedding
from explainers.errors import ArchitectureError

LABELS = torch.tensor([1, 3])


def through_the_network(classifier, images, place, value):
    """Token times gradient (b t), where `place` of the last block puts out its tokens (b t d)."""
    block = classifier.model.blocks[-1]
    kept = []
    if place == "input":
        handle = block.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    else:
        handle = block.norm1.register_forward_hook(lambda *parts: kept.append(parts[-1]))
    total = value(images.clone().requires_grad_()).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(total, kept[0])
    return (kept[0] * gradient).sum(dim=-1).detach()


def assert_equal_to_rounding(actual, expected):
    """Agree to 2e-15 of the largest score, and twice that where sums are in another order."""
    largest = expected.abs().amax().item()
    torch.testing.assert_close(actual, expected, rtol=0, atol=4e-15 * largest)


def logit(classifier):
    return lambda images: classifier(images).gather(1, LABELS[:, None])


def patches(explainer, images, target=LABELS):
    """The explainer's scores of the patches (b n), taken from its maps (b 1 h w)."""
    rows, columns = explainer.transformer.grid(images)
    maps = explainer.attribute(images, target)
    assert maps.shape == (len(images), 1, *images.shape[-2:])
    return F.interpolate(maps, (rows, columns), mode="nearest-exact").flatten(1)


def test_equals_plain_autograd_through_the_whole_network(transformer, pictures):
    classifier, prefix = transformer
    expected = through_the_network(classifier, pictures, "norm1", logit(classifier))[:, prefix:]
    assert expected.abs().amax() > 1e-3
    assert_equal_to_rounding(patches(CDAM(classifier), pictures), expected)


def test_attention_that_is_not_fused_makes_no_difference(build, pictures):
    fused, other = (CDAM(build("relative", fused)[0]) for fused in (True, False))
    torch.testing.assert_close(patches(other, pictures), patches(fused, pictures))


def test_a_map_at_the_input_of_the_block_would_be_zero(transformer, pictures):
    classifier, prefix = transformer
    classifier.model.blocks[-1].norm1.eps = 0.0  # with it, a norm does see scale, by a hair
    at_input = through_the_network(classifier, pictures, "input", logit(classifier))[:, prefix:]
    at_norm = through_the_network(classifier, pictures, "norm1", logit(classifier))[:, prefix:]
    assert at_input.abs().amax() < 1e-10 * at_norm.abs().amax()


def test_smooth_is_the_mean_over_noisy_inputs_of_the_block(build, pictures):
    classifier, prefix = build("class token")
    block = classifier.model.blocks[-1]
    expected = torch.zeros(2, 20, dtype=torch.float64)
    for index in range(2):  # the same noise for each image, at the scale of its own tokens
        generator = torch.Generator().manual_seed(4)
        image, label = pictures[[index]], LABELS[[index]]
        for _ in range(5):
            noise = torch.randn(prefix + 20, 64, generator=generator).double()

            def add(module, inputs, noise=noise):
                sigma = 0.1 * (inputs[0].max() - inputs[0].min())
                return (inputs[0] + sigma * noise,)

            handle = block.register_forward_pre_hook(add)
            scores = through_the_network(
                classifier,
                image,
                "norm1",
                lambda images, label=label: classifier(images)[:, label],
            )
            handle.remove()
            expected[index] += scores[0, prefix:] / 5
    explainer = SmoothCDAM(classifier, samples=5, noise=0.1, seed=4)
    assert_equal_to_rounding(patches(explainer, pictures), expected)


def test_post_norm_adds_up_to_what_the_patches_add(transformer, pictures):
    classifier, prefix = transformer
    explainer = IntegratedCDAM(classifier)
    last = explainer.transformer.last_block(pictures)
    normed = last.normed(last.inputs)
    without = normed.clone()
    without[:, prefix:] = 0
    whole, nothing = (explainer.value(last.read(t, last.inputs), LABELS) for t in (normed, without))
    torch.testing.assert_close(whole, logit(classifier)(pictures))
    total = patches(explainer, pictures).sum(dim=1)
    assert (whole - nothing).abs().amax() > 0.01
    torch.testing.assert_close(total, (whole - nothing)[:, 0], rtol=0, atol=1e-4)


def test_pre_norm_moves_nothing_but_the_residual_of_the_class_token(build, pictures):
    classifier, prefix = build("class token")
    block = classifier.model.blocks[-1]
    block.norm1.eps = 0.0
    explainer = IntegratedCDAM(classifier, path="pre_norm", steps=4)
    expected = torch.zeros(2, prefix + 20, dtype=torch.float64)
    for step in (1, 2, 3):

        def shrink(module, inputs, step=step):
            first = torch.ones(1, prefix + 20, 1).double()
            first[:, 0] = step / 4
            return (inputs[0] * first,)

        handle = block.register_forward_pre_hook(shrink)
        expected += through_the_network(classifier, pictures, "norm1", logit(classifier)) / 3
        handle.remove()
    actual = patches(explainer, pictures)
    assert_equal_to_rounding(actual, expected[:, prefix:])


def test_concept_is_explained_by_its_product_with_the_embedding(transformer, pictures):
    classifier, prefix = transformer
    concept = concept_embedding(classifier, pictures.flip(-1))
    torch.testing.assert_close(concept, classifier.embed(pictures.flip(-1)).mean(dim=0))
    references = concept.expand(2, -1)
    for cosine, compare in ((False, lambda a, b: (a * b).sum(1)), (True, F.cosine_similarity)):
        expected = through_the_network(
            classifier,
            pictures,
            "norm1",
            lambda images, compare=compare: compare(classifier.embed(images), references),
        )[:, prefix:]
        assert expected.abs().amax() > 1e-6
        actual = patches(CDAM(classifier, cosine=cosine), pictures, references)
        if cosine:  # nearly 0 where both are nearly parallel
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-14)
        else:
            assert_equal_to_rounding(actual, expected)


def test_cosine_with_oneself_explains_nothing(build, pictures):
    classifier, _ = build("class token")
    own = classifier.embed(pictures).detach()
    assert patches(CDAM(classifier, cosine=True), pictures, own).abs().amax() < 1e-10
    assert patches(CDAM(classifier), pictures, own).abs().amax() > 1e-3


@pytest.mark.parametrize("name", ["mean", "rotary mean"])
def test_mean_of_patches_is_explained_in_part_and_only_if_told_to(name, build, pictures):
    classifier, prefix = build(name)
    with pytest.raises(ArchitectureError, match=r"reads the patches themselves.*attention_only"):
        CDAM(classifier)
    expected = through_the_network(classifier, pictures, "norm1", logit(classifier))[:, prefix:]
    actual = patches(CDAM(classifier, attention_only=True), pictures)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
