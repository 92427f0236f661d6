"""Class rows: weights and bias of the linear layer that reads the pooled features."""

from torch import Tensor, nn

from explainers.classifier.features import require_timm, stages_of
from explainers.errors import InputError


def class_rows(model: nn.Module, name: str) -> Tensor:
    """Rows (classes channels) of the last layer.

    Args:
        model: the network.
        name: what to call it.

    Raises:
        InputError: the network decides by anything but one linear layer on pooled features.
    """
    layer = require_timm(model, "class_weights").get_classifier()
    weight: Tensor | None = getattr(layer, "weight", None)
    if weight is None or weight.flatten(1).shape[1] != stages_of(model)[-1].channels:
        raise InputError(f"{name} does not decide by one linear layer on its pooled features")
    return weight.flatten(1)  # MobileNets keep theirs as a 1x1 convolution


def class_bias(model: nn.Module, name: str) -> Tensor:
    """The bias (classes) beside the rows; zeros where there is none. Raises as `class_rows`."""
    rows = class_rows(model, name)
    bias: Tensor | None = require_timm(model, "class_bias").get_classifier().bias
    return rows.new_zeros(len(rows)) if bias is None else bias
