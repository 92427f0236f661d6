"""Token ablation against networks that really get a token less."""

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from explainers import FrozenClassifier, TokenAblation
from explainers.errors import ArchitectureError, InputError

LABELS = torch.tensor([1, 3])


def without_row(table, row):
    return torch.cat([table[:row], table[row + 1 :]])


def logits_without(classifier, images, token, monkeypatch):
    """Run the blocks by hand on sequences that lack a token, with the positions of the others."""
    model = classifier.model
    prepared = classifier.prepare(images)
    options = {}
    with monkeypatch.context() as patch:
        if isinstance(model, timm.models.Beit):
            tokens = torch.cat([model.cls_token.expand(2, -1, -1), model.patch_embed(prepared)], 1)
            if model.pos_embed is not None:
                tokens = tokens + model.pos_embed
            tables = [block.attn for block in model.blocks]
            for table in tables:
                if table.relative_position_bias_table is not None:
                    bias = table._get_rel_pos_bias()[0]  # (heads t t)
                    bias = torch.stack(
                        [without_row(without_row(b, token).T, token).T for b in bias]
                    )
                    patch.setattr(table, "_get_rel_pos_bias", lambda bias=bias: bias[None])
            if model.rel_pos_bias is not None:
                bias = model.rel_pos_bias()
                bias = torch.stack([without_row(without_row(b, token).T, token).T for b in bias])
                options["shared_rel_pos_bias"] = bias
        else:
            tokens = model._pos_embed(model.patch_embed(prepared))
            if isinstance(tokens, tuple):
                tokens, rope = tokens
                options["rope"] = rope
            tokens = model.norm_pre(tokens)
        tokens = torch.cat([tokens[:, :token], tokens[:, token + 1 :]], dim=1)
        for index, block in enumerate(model.blocks):
            own = dict(options)
            if own.get("rope") is not None:
                rope, row = own["rope"], token - model.num_prefix_tokens
                if model.rope_mixed:
                    own["rope"] = torch.stack([without_row(head, row) for head in rope[index]])
                else:
                    own["rope"] = without_row(rope, row)
            tokens = block(tokens, **own)
        return model.forward_head(model.norm(tokens))


def assert_is_the_loss_of_each_token(classifier, prefix, images, monkeypatch):
    explainer = TokenAblation(classifier, chunk_size=7)  # fits no number of patches
    with torch.no_grad():
        actual = explainer.token_scores(images, LABELS)[:, 0]
        whole = classifier(images)
        for patch in (0, 3, actual.shape[1] - 1):
            less = whole - logits_without(classifier, images, prefix + patch, monkeypatch)
            expected = less.gather(1, LABELS[:, None])[:, 0]
            assert expected.abs().amax() > 1e-5
            torch.testing.assert_close(actual[:, patch], expected, rtol=0, atol=1e-11)


def test_score_is_what_the_logit_loses_without_the_token(transformer, pictures, monkeypatch):
    assert_is_the_loss_of_each_token(*transformer, pictures, monkeypatch)


@pytest.mark.parametrize("name", ["mean", "rotary mean"])
def test_mean_of_patches_is_that_of_the_others(name, build, pictures, monkeypatch):
    assert_is_the_loss_of_each_token(*build(name), pictures, monkeypatch)


@pytest.mark.parametrize("name", ["class token", "relative", "rotary mean"])
def test_attention_that_is_not_fused_makes_no_difference(name, build, pictures):
    fused, other = (TokenAblation(build(name, fused)[0]) for fused in (True, False))
    torch.testing.assert_close(
        other.attribute(pictures, LABELS), fused.attribute(pictures, LABELS), rtol=0, atol=1e-11
    )


def test_token_that_the_network_ignores_scores_zero(pictures):
    ignored = 1 + 6

    class Blind(VisionTransformer):
        def forward_features(self, x):
            mask = torch.zeros(21, 21, dtype=x.dtype)
            mask[:, ignored] = -torch.inf
            return super().forward_features(x, attn_mask=mask)

    model = Blind(depth=3, embed_dim=32, num_heads=2, num_classes=5, dynamic_img_size=True)
    torch.nn.init.normal_(model.head.weight)
    classifier = FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(64, 80)).double()
    scores = TokenAblation(classifier).token_scores(pictures, LABELS)[:, 0].abs()
    assert scores[:, ignored - 1].amax() < 1e-12
    scores[:, ignored - 1] = torch.inf
    assert scores.amin() > 1e-8


def test_attention_that_no_token_can_be_hidden_from_is_refused(build, pictures):
    class Mean(torch.nn.Module):
        def forward(self, tokens, attn_mask=None, is_causal=False):
            return tokens.mean(dim=1, keepdim=True).expand_as(tokens)

    classifier, _ = build("class token")
    classifier.model.blocks[1].attn = Mean()
    with pytest.raises(
        ArchitectureError, match=r"3 blocks like Block .* hold 2 softmax attentions"
    ):
        TokenAblation(classifier).attribute(pictures, LABELS)


def test_concept_is_ablated_too(build, pictures):
    classifier, _ = build("class token")
    references = torch.randn(2, 64, dtype=torch.float64)
    head = classifier.model.head
    with torch.no_grad():
        head.weight[LABELS] = references
        head.bias.zero_()
    explainer = TokenAblation(classifier)
    torch.testing.assert_close(
        explainer.attribute(pictures, references), explainer.attribute(pictures, LABELS)
    )


def test_other_networks_and_empty_chunks_are_refused(build):
    source = {"model": "test_resnet", "pretrained": False}
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        TokenAblation(source)
    with pytest.raises(
        InputError, match="chunk_size must be a whole number from 1 to 100000, got 0"
    ):
        TokenAblation(build("class token")[0], chunk_size=0)
