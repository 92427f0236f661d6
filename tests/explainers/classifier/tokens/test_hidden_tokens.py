"""Dropped patch tokens, against sequences from which they were taken by hand."""

import pytest
import torch

from explainers.classifier.tokens.hidden_tokens import logits_on_kept
from explainers.classifier.tokens.transformer import Transformer
from explainers.errors import ArchitectureError

NAMES = ["class token", "distilled", "layer scale", "mean"]


def removed_by_hand(model, prefix, images, kept):
    """Logits of the network on a sequence that is really shorter, for one image (1 3 h w)."""
    tokens = model._pos_embed(model.patch_embed(images))
    tokens = torch.cat([tokens[:, :prefix], tokens[:, prefix:][:, kept[0]]], dim=1)
    tokens = model.norm(model.blocks(model.norm_pre(tokens)))
    logits = model.forward_head(tokens)
    return sum(logits) / 2 if isinstance(logits, tuple) else logits


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_hidden_tokens_are_as_if_they_were_not_there(build, name, fused):
    classifier, prefix = build(name, fused)
    images = torch.rand(3, 3, *classifier.size, dtype=torch.float64)
    transformer = Transformer(classifier)
    rows, columns = transformer.grid(images)
    kept = torch.rand(3, rows * columns) < torch.tensor([0.2, 0.5, 0.9])[:, None]
    actual = logits_on_kept(transformer, images, kept)
    for index in range(3):
        one = slice(index, index + 1)
        expected = removed_by_hand(
            classifier.model, prefix, classifier.prepare(images[one]), kept[one]
        )
        torch.testing.assert_close(actual[one], expected)


def test_all_tokens_give_the_network_s_own_logits(transformer, pictures):
    classifier, _ = transformer
    network = Transformer(classifier)
    rows, columns = network.grid(pictures)
    kept = torch.ones(2, rows * columns, dtype=torch.bool)
    torch.testing.assert_close(logits_on_kept(network, pictures, kept), classifier(pictures))


@pytest.mark.parametrize("name", ["class token", "mean", "registers", "relative", "rotary"])
def test_no_token_gives_finite_logits_that_do_not_depend_on_the_image(build, name):
    classifier, _ = build(name)
    network = Transformer(classifier)
    images = torch.rand(2, 3, *classifier.size, dtype=torch.float64)
    rows, columns = network.grid(images)
    logits = logits_on_kept(network, images, torch.zeros(2, rows * columns, dtype=torch.bool))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[0], logits[1])


def test_attention_that_cannot_be_masked_is_refused(build, monkeypatch):
    classifier, _ = build("class token")
    monkeypatch.setattr(classifier.model.blocks[0].attn, "forward", lambda tokens, **_: tokens)
    images = torch.rand(1, 3, *classifier.size, dtype=torch.float64)
    network = Transformer(classifier)
    rows, columns = network.grid(images)
    with pytest.raises(ArchitectureError, match="leaving tokens out"):
        logits_on_kept(network, images, torch.ones(1, rows * columns, dtype=torch.bool))
