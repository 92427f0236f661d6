"""Gradients of target scores by the tokens that the last attention reads, as CDAM sums them up."""

from collections.abc import Callable

import torch
from torch import Tensor

from explainers.classifier.tokens.transformer import LastBlock, Transformer
from explainers.errors import ArchitectureError, InputError
from explainers.methods.vit.token_explainer import TokenExplainer

Value = Callable[[Tensor], Tensor]
"""Maps the tokens that the head gets (b _ d) to target scores (b k)."""


def token_gradients(last: LastBlock, normed: Tensor, inputs: Tensor, value: Value) -> Tensor:
    """Gradient (b k t d) of k target scores by what the last attention reads.

    Args:
        last: the last block.
        normed: what its attention reads (b t d).
        inputs: what passes the attention by (b t d).
        value: the target scores of the tokens that the head gets.
    """
    leaf = normed.detach().requires_grad_()
    values = value(last.read(leaf, inputs))
    return torch.stack(
        [torch.autograd.grad(one.sum(), leaf, retain_graph=True)[0] for one in values.unbind(1)],
        dim=1,
    )


def gradient_times_token(last: LastBlock, inputs: Tensor, value: Value) -> Tensor:
    """T . df/dT of each token (b k t), for what enters the last block (b t d)."""
    normed = last.normed(inputs)
    return torch.einsum("btd,bktd->bkt", normed, token_gradients(last, normed, inputs, value))


def patch_scores(
    explainer: TokenExplainer,
    images: Tensor,
    target: Tensor,
    last_scores: Callable[[LastBlock, Value], Tensor],
) -> Tensor:
    """Score the patches (b k n) of images (b 3 h w) from the scores of all tokens (b k t)."""
    last = explainer.transformer.last_block(images)
    scores = last_scores(last, lambda tokens: explainer.value(tokens, target))
    return scores[..., explainer.transformer.prefix :]


def require_class_token(transformer: Transformer, attention_only: bool) -> None:
    """Refuse networks whose last attention is not all that the head learns of the patches.

    Args:
        transformer: the network.
        attention_only: accept a head that reads the patches themselves.

    Raises:
        ArchitectureError: its blocks are not pre-norm, or its head reads the patches.
    """
    transformer.require_pre_norm()
    if transformer.pooled and not attention_only:
        raise ArchitectureError(
            f"the head of {transformer.classifier.name} reads the patches themselves, so part of "
            "what they add passes the last attention by; pass attention_only=True for a map of "
            "the rest"
        )


def scores_of_classes(explainer: TokenExplainer, images: Tensor, labels: Tensor) -> Tensor:
    """Score the pixels (b k h w) for labels (b k); see `CDAM.scores_of_classes`."""
    if labels.ndim != 2:
        raise InputError(f"labels must be (b k), k classes an image, got {tuple(labels.shape)}")
    for of_one_class in labels.unbind(1):
        explainer.resolve_target(images, of_one_class)
    return explainer.attribute(images, labels).float()
