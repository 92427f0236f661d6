"""Attention maps and relevance propagation against attention that hooks read, unfused."""

import pytest
import timm
import torch

from explainers import AttentionMap, FrozenClassifier, RelevancePropagation
from explainers.errors import ArchitectureError

LABELS = torch.tensor([1, 3])


def attentions(classifier, images):
    """Attention (b heads t t) of each block, and the logits that come of it, without fusing."""
    kept, handles = [], []
    for block in classifier.model.blocks:
        assert not block.attn.fused_attn
        drop = block.attn.attn_drop
        handles.append(drop.register_forward_hook(lambda *parts: kept.append(parts[-1])))
    logits = classifier(images.clone().requires_grad_())
    for handle in handles:
        handle.remove()
    return kept, logits


def read(classifier, name):
    """Which tokens the head reads."""
    if name.endswith("mean"):
        return slice(1, None)
    return slice(0, 2) if name == "distilled" else slice(0, 1)


NAMES = ["class token", "registers", "distilled", "relative", "mixed rotary", "rotary mean", "mean"]


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("name", NAMES)
def test_attention_map_is_the_mean_of_the_heads_at_what_is_read(name, fused, build, pictures):
    literal, prefix = build(name, fused=False)
    kept, _ = attentions(literal, pictures)
    rows = kept[-1].mean(dim=1)[:, read(literal, name)].mean(dim=1)
    scores = AttentionMap(build(name, fused)[0]).token_scores(pictures, LABELS)
    expected = rows[:, prefix:].detach()
    rounding = 4e-15 * expected.amax().item()
    torch.testing.assert_close(scores[:, 0], expected, rtol=0, atol=rounding)
    assert scores.std() > 1e-4


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("name", NAMES)
def test_relevance_is_that_of_the_paper(name, fused, build, pictures):
    literal, prefix = build(name, fused=False)
    kept, logits = attentions(literal, pictures)
    gradients = torch.autograd.grad(logits.gather(1, LABELS[:, None]).sum(), kept)
    for index in range(2):
        relevance = torch.eye(kept[0].shape[-1], dtype=torch.float64)
        for attention, gradient in zip(kept, gradients, strict=True):
            averaged = (gradient[index] * attention[index]).clamp(min=0).mean(dim=0)
            relevance = relevance + averaged @ relevance
        expected = relevance[read(literal, name)].mean(dim=0)[prefix:].detach()
        explainer = RelevancePropagation(build(name, fused)[0])
        scores = explainer.token_scores(pictures, LABELS)[index, 0]
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
        assert scores.std() > 1e-8


def test_map_of_attention_is_the_same_for_all_classes_and_sums_to_less_than_one(build, pictures):
    explainer = AttentionMap(build("registers")[0])
    scores = explainer.token_scores(pictures, LABELS)
    assert torch.equal(scores, explainer.token_scores(pictures, LABELS + 1))
    assert (scores >= 0).all()
    assert (scores.sum(dim=-1) < 1).all()


@pytest.mark.parametrize("kind", [AttentionMap, RelevancePropagation])
def test_read_outs_by_attention_of_their_own_are_refused(kind):
    classifier = FrozenClassifier(timm.create_model("test_vit3", num_classes=4, depth=2))
    with pytest.raises(ArchitectureError, match="pools its tokens by 'map'"):
        kind(classifier)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("kind", [AttentionMap, RelevancePropagation])
def test_attention_that_is_a_difference_is_refused(kind, fused):
    model = timm.create_model("test_vit", num_classes=4, depth=2, attn_layer="diff")
    for block in model.blocks:
        block.attn.fused_attn = fused
    explainer = kind(FrozenClassifier(model))
    with pytest.raises(ArchitectureError, match="does not hold one softmax attention"):
        explainer(torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize("kind", [AttentionMap, RelevancePropagation])
def test_other_networks_are_refused(kind):
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        kind({"model": "test_convnext", "pretrained": False})
