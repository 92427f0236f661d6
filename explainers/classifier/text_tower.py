"""Classes given as texts: what encodes them, and the classifier's last layer that compares them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from explainers.classifier.text_head import TextHead
from explainers.errors import InputError, shown

CHUNK = 64  # texts in the tower at once

NEUTRAL_TEXT = "a photo"
"""What a text is told apart from where no other classes are given."""


class TextTower:
    """Encodes texts; it stays on the CPU, and is no part of the classifier's weights.

    Args:
        model: encodes tokens by its `encode_text`.
        tokenize: maps texts to tokens.
    """

    def __init__(self, model: Any, tokenize: Callable[[Sequence[str]], Tensor]) -> None:  # noqa: ANN401
        self.model = model.eval().requires_grad_(False)
        self.tokenize = tokenize

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (n d) of texts, of length 1."""
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        shown_chunks = tqdm(chunks, desc="texts", leave=False, disable=len(chunks) < 3)
        encoded = [self.model.encode_text(self.tokenize(list(chunk))) for chunk in shown_chunks]
        return F.normalize(torch.cat(encoded).float(), dim=-1)


def text_head_of(network: nn.Module) -> TextHead | None:
    """The head of a network that compares texts; None where it has none."""
    return next((part for part in network.modules() if isinstance(part, TextHead)), None)


def require_texts(classes: object) -> list[str]:
    """The texts of classes, in their order.

    Raises:
        InputError: they are not two texts or more, one is empty, or two are the same.
    """
    if not isinstance(classes, Sequence) or isinstance(classes, str) or len(classes) < 2:
        raise InputError(
            "classes must be a list of two texts or more, as [a photo of a cat, a photo of a dog], "
            f"got {shown(classes)}"
        )
    texts = []
    for text in classes:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"each of classes must be a text, got {shown(text)}")
        if text in texts:
            raise InputError(f"classes must differ, and {shown(text)} is there twice")
        texts.append(text)
    return texts
