"""Answers of a transformer that does not see some of its patch tokens.

Without hooks or changes to its modules: the mask is put on what is computed inside a `with` block,
in this thread, whether the attention is fused or not; timm computes it by
`scaled_dot_product_attention`, or by a softmax of its own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explainers.classifier.tokens.transformer import Transformer
from explainers.errors import ArchitectureError


def logits_on_kept(transformer: Transformer, images: Tensor, kept: Tensor) -> Tensor:
    """Logits (b classes) of images (b 3 h w) of which only some patches are there.

    The others leave after their position was added: no token attends to them, and a head that
    pools the patches pools those that are left (zeros, if none is).

    Args:
        transformer: the network.
        images: in [0, 1].
        kept: the patches that stay (b n), bool, row by row.

    Raises:
        ArchitectureError: the network's attention is not computed by a softmax, or it pools its
            tokens by anything but their mean.
    """
    prefix = transformer.prefix
    hidden = F.pad(~kept, (prefix, 0), value=False)
    if not prefix:  # an attention over nothing is not defined
        hidden = hidden & ~hidden.all(dim=1, keepdim=True)
    with HideTokens(hidden) as mask:
        tokens = transformer.model.forward_features(transformer.prepare(images))
    mask.require(transformer.model.blocks)
    if transformer.pooled:  # by their mean, in which the mean of some counts for nothing
        left = F.pad(kept, (prefix, 0), value=True)[..., None]  # (b t 1)
        read = left.clone()
        read[:, : transformer.rows.start or 0] = False
        mean = (tokens * read).sum(dim=1, keepdim=True) / read.sum(dim=1, keepdim=True).clamp(1)
        tokens = tokens.where(left, mean)
    return transformer.logits(tokens)


class HideTokens(TorchFunctionMode):
    """Masks tokens of each sequence in every attention: no token attends to them.

    Args:
        hidden: the tokens to hide (b t), bool; of each sequence, one at least has to be left.

    Attributes:
        count: number of attentions that they were hidden from.
    """

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        zeros = torch.zeros(hidden.shape, device=hidden.device)
        self.bias = zeros.masked_fill(hidden, -torch.inf)[:, None, None]  # (b 1 1 t)
        self.count = 0

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            bias = self.bias.to(args[0].dtype)
            if kwargs.get("attn_mask") is not None:
                bias = bias + kwargs["attn_mask"]
            kwargs = kwargs | {"attn_mask": bias}
            self.count += 1
        elif func is torch.Tensor.softmax:
            args = (args[0] + self.bias.to(args[0].dtype), *args[1:])
            self.count += 1
        return func(*args, **kwargs)

    def require(self, blocks: Any) -> None:  # noqa: ANN401  a list of timm's blocks
        """Raise ArchitectureError unless they were hidden from an attention of each."""
        if self.count < len(blocks):
            raise ArchitectureError(
                f"{len(blocks)} blocks like {type(blocks[-1]).__name__} of this network hold "
                f"{self.count} softmax attentions; leaving tokens out needs one or more in each"
            )
