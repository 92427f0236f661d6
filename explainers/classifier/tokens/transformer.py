"""Vision transformers as sequences of tokens: the last block on its own, and scores on pixels.

A sequence (b t d) starts with prefix tokens (class, distillation, registers); n patch tokens
follow, row by row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import beit, deit, eva, vision_transformer
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.classifier.features import two_sided
from explainers.errors import ArchitectureError

FAMILIES = (vision_transformer.VisionTransformer, eva.Eva, beit.Beit)
PRE_NORM_BLOCKS = (vision_transformer.Block, eva.EvaBlock, beit.Block)


class Transformer:
    """Tokens of a frozen vision transformer, which is read without hooks or changes.

    Attributes:
        model: timm's network.
        prefix: number of tokens before the patches.
        readers: the tokens that the head reads: the class token, DeiT's two, or all.

    Raises:
        ArchitectureError: the classifier is no transformer with one sequence of tokens.
    """

    def __init__(self, classifier: FrozenClassifier) -> None:
        model = classifier.model
        if not isinstance(model, FAMILIES):
            names = ", ".join(family.__name__ for family in FAMILIES)
            raise ArchitectureError(
                f"{classifier.name} is a {type(model).__name__}, and this method needs a vision "
                f"transformer with one sequence of prefix and patch tokens: timm's {names}"
            )
        self.classifier = classifier
        self.model: Any = model  # timm's families have no common type
        self.prefix: int = model.num_prefix_tokens
        distilled = isinstance(model, deit.VisionTransformerDistilled)
        self.readers = slice(1 + distilled) if model.global_pool == "token" else slice(None)

    @property
    def pooled(self) -> bool:
        """The head reads the patches themselves, not only the class token."""
        return self.readers.stop is None

    @property
    def rows(self) -> slice:
        """The tokens that the head reads with equal weight.

        Raises:
            ArchitectureError: it does not.
        """
        if not self.pooled:
            return self.readers
        if self.model.global_pool != "avg":
            raise ArchitectureError(
                f"{self.classifier.name} pools its tokens by {self.model.global_pool!r}; this "
                "method needs a class token or their mean"
            )
        everything = getattr(self.model, "pool_include_prefix", False)
        return slice(None) if everything else slice(self.prefix, None)

    def require_pre_norm(self) -> None:
        """Raise ArchitectureError unless the last attention reads what a norm puts out."""
        blocks = self.model.blocks
        if not isinstance(blocks[-1], PRE_NORM_BLOCKS) or len(blocks) < 2:
            raise ArchitectureError(
                f"{self.classifier.name} has {len(blocks)} blocks, the last a "
                f"{type(blocks[-1]).__name__}; this method needs two or more that normalise what "
                "their attention reads"
            )

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits (b classes) of the tokens that the head gets (b _ d)."""
        return two_sided(self.model.forward_head(tokens))

    def prepare(self, images: Tensor) -> Tensor:
        """Bring images (b 3 h w) in [0, 1] to what the network takes (b 3 _ _)."""
        return self.classifier.prepare(images)

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of images (b 3 h w)."""
        size = self.classifier.nearest_size(images.shape[-2:])
        rows, columns = self.model.patch_embed.dynamic_feat_size(size)
        return rows, columns

    @torch.no_grad()
    def last_block(self, images: Tensor) -> "LastBlock":
        """Run the blocks before the last one on images (b 3 h w)."""
        (before,) = self.model.forward_intermediates(
            self.prepare(images),
            indices=[len(self.model.blocks) - 2],
            return_prefix_tokens=True,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        inputs = before if isinstance(before, Tensor) else torch.cat(before[::-1], dim=1)
        return LastBlock(self.model, self.readers, inputs, self._positions(images))

    def _positions(self, images: Tensor) -> dict[str, Tensor]:
        """Position arguments of the last block's attention: rotary embedding or relative bias."""
        rotary: Any = getattr(self.model, "rope", None)  # Eva's
        if rotary is not None:
            rope = rotary.get_embed(shape=list(self.grid(images)))
            mixed = getattr(self.model, "rope_mixed", False)  # one for each block
            return {"rope": rope[-1] if mixed else rope}
        shared: Any = getattr(self.model, "rel_pos_bias", None)  # Beit's
        return {} if shared is None else {"shared_rel_pos_bias": shared()}

    def place(self, scores: Tensor, images: Tensor) -> Tensor:
        """Lay scores of patches (b k n) on the pixels (b k h w) of images (b 3 h w)."""
        maps = scores.unflatten(2, self.grid(images))
        return F.interpolate(maps, images.shape[-2:], mode="nearest-exact")


@dataclass(frozen=True)
class LastBlock:
    """The last block of a transformer on one batch, in parts that gradients flow through.

    Attributes:
        model: timm's network.
        readers: the tokens that its head reads; the others are left out after the attention.
        inputs: what enters the block (b t d).
        positions: further arguments of its attention.
    """

    model: Any
    readers: slice
    inputs: Tensor
    positions: dict[str, Tensor]

    def normed(self, inputs: Tensor) -> Tensor:
        """Input (b t d) of the attention, from the block's inputs (b t d): T in the CDAM paper."""
        normed: Tensor = self.model.blocks[-1].norm1(inputs)
        return normed

    def attend(self, normed: Tensor) -> Tensor:
        """Output (b t d) of the attention for `normed` (b t d)."""
        attended: Tensor = self.model.blocks[-1].attn(normed, **self.positions)
        return attended

    def read(self, normed: Tensor, inputs: Tensor) -> Tensor:
        """The tokens (b readers d) that the head gets.

        Args:
            normed: what the attention reads (b t d).
            inputs: what passes it by (b t d).
        """
        block = self.model.blocks[-1]
        tokens = (inputs + _scaled(block, 1, self.attend(normed)))[:, self.readers]
        tokens = tokens + _scaled(block, 2, block.mlp(block.norm2(tokens)))
        normed_tokens: Tensor = self.model.norm(tokens)
        return normed_tokens


def _scaled(block: nn.Module, branch: int, tokens: Tensor) -> Tensor:
    """Apply the layer scale of a branch (1: attention, 2: perceptron), under either of its names.

    Stochastic depth is the identity in eval mode.
    """
    scale: Tensor | None = getattr(block, f"gamma_{branch}", None)
    if scale is not None:
        return scale * tokens
    layer: Callable[[Tensor], Tensor] = getattr(block, f"ls{branch}", nn.Identity())
    return layer(tokens)
