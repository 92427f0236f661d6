"""Recording the attention of a transformer without hooks or changes to its modules.

It works on what is computed inside its `with` block, in this thread, whether the attention is
fused or not: timm computes it by `scaled_dot_product_attention`, or by a softmax of its own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explainers.errors import ArchitectureError


class RecordAttention(TorchFunctionMode):
    """Keeps the attention of each block, as part of the graph where gradients are on.

    Attributes:
        weights: attention (b heads t t) in the order of the blocks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        return self._keep(result) if func is torch.Tensor.softmax else result

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        scale: float | None = None,
        **_: object,
    ) -> Tensor:
        if scale is None:
            scale = query.shape[-1] ** -0.5
        logits = query * scale @ key.transpose(-2, -1)
        if attn_mask is not None:  # a bias for relative positions
            logits = logits + attn_mask
        return self._keep(logits.softmax(dim=-1)) @ value

    def _keep(self, weights: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not weights.requires_grad:
            weights = weights.detach().requires_grad_()
        self.weights.append(weights)
        return weights

    def of(self, blocks: Any) -> list[Tensor]:  # noqa: ANN401  a list of timm's blocks
        """The attention of each of these blocks.

        Raises:
            ArchitectureError: they do not hold one softmax attention each.
        """
        heads = [getattr(getattr(block, "attn", None), "num_heads", None) for block in blocks]
        if heads != [weights.shape[1] for weights in self.weights]:
            raise ArchitectureError(
                f"a {type(blocks[-1]).__name__} of this network does not hold one softmax "
                "attention; choose CDAM, which does not read it"
            )
        return self.weights
