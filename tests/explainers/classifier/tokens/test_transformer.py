"""What the explainers of transformers leave on the network: nothing, whatever happens."""

import pytest
import torch

from explainers import (
    CDAM,
    AttentionMap,
    IntegratedCDAM,
    RelevancePropagation,
    SmoothCDAM,
    TokenAblation,
)

LABELS = torch.tensor([1, 3])
KINDS = [CDAM, SmoothCDAM, IntegratedCDAM, AttentionMap, RelevancePropagation, TokenAblation]


def state(model):
    """All that can be left on a network: settings, hooks, gradients and the weights themselves."""
    parts = {}
    for name, part in model.named_modules():
        kept = {key: value for key, value in vars(part).items() if not isinstance(value, dict)}
        tables = {key: list(value) for key, value in vars(part).items() if isinstance(value, dict)}
        parts[name] = (str(kept), tables)
    weights = {
        name: (weight.sum().item(), weight.requires_grad, weight.grad)
        for name, weight in [*model.named_parameters(), *model.named_buffers()]
    }
    return parts, weights


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_on_the_network(kind, transformer, pictures):
    classifier, _ = transformer
    before = state(classifier)
    expected = classifier(pictures)
    explainer = kind(classifier)
    explainer.attribute(pictures, LABELS)
    assert state(classifier) == before
    assert torch.equal(classifier(pictures), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_after_an_exception(kind, build, pictures, monkeypatch):
    classifier, _ = build("class token")
    expected = classifier(pictures)
    explainer = kind(classifier)
    attention = classifier.model.blocks[-1].attn
    before = state(classifier)
    with monkeypatch.context() as patch:
        patch.setitem(vars(attention.proj), "forward", lambda tokens: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            explainer.attribute(pictures, LABELS)
    assert state(classifier) == before
    assert torch.equal(classifier(pictures), expected)


@pytest.mark.parametrize("name", ["class token", "mean"])
def test_last_block_in_parts_decides_as_the_network_does(name, build, pictures):
    classifier, _ = build(name)
    explainer = TokenAblation(classifier)
    last = explainer.transformer.last_block(pictures)
    tokens = last.read(last.normed(last.inputs), last.inputs)
    assert tokens.shape[1] == (1 if name == "class token" else 1 + 20)
    torch.testing.assert_close(
        explainer.value(tokens, LABELS)[:, 0], classifier(pictures)[[0, 1], LABELS]
    )


def test_last_block_in_parts_is_the_last_block(transformer, pictures):
    classifier, _ = transformer
    last = CDAM(classifier).transformer.last_block(pictures)
    tokens = last.read(last.normed(last.inputs), last.inputs)
    torch.testing.assert_close(classifier.model.forward_head(tokens), classifier(pictures))


def test_image_of_another_size_is_scored_on_the_grid_of_the_network(build):
    explainer = CDAM(build("registers")[0].float())  # takes 56 x 70 pixels, and nothing else
    scores = explainer(torch.rand(2, 3, 112, 280), LABELS)
    assert scores.shape == (2, 1, 112, 280)
    cells = scores.unfold(2, 28, 28).unfold(3, 56, 56)
    assert cells.shape[2:4] == (4, 5)
    assert (cells == cells[..., :1, :1]).all()
