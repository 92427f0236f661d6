"""Class rows: weights and bias of the linear layer that reads the pooled features."""

import torch.nn.functional as F
from torch import Tensor

from explainers.classifier.features import FeatureReader, two_sided
from explainers.classifier.text_head import TextHead
from explainers.errors import InputError


def class_rows(reader: FeatureReader, name: str) -> Tensor:
    """Rows (classes channels) of the last layer.

    Args:
        reader: of the network.
        name: what to call it.

    Raises:
        InputError: the network decides by anything but one linear layer on pooled features.
    """
    weight: Tensor | None = getattr(reader.last_layer(), "weight", None)
    if weight is None or weight.flatten(1).shape[1] != reader.stages[-1].channels:
        raise no_rows(name)
    # MobileNets keep theirs as a 1x1 convolution; the one row of a single logit stands for two.
    return two_sided(weight.flatten(1).mT).mT


def no_rows(name: str) -> InputError:
    """The error of a network without class rows."""
    return InputError(f"{name} does not decide by one linear layer on its pooled features")


def class_bias(reader: FeatureReader, name: str) -> Tensor:
    """The bias (classes) beside the rows; zeros where there is none. Raises as `class_rows`."""
    rows = class_rows(reader, name)
    bias: Tensor | None = getattr(reader.last_layer(), "bias", None)
    return rows.new_zeros(len(rows)) if bias is None else two_sided(bias[None])[0]


def reads_linearly(reader: FeatureReader) -> bool:
    """Whether logits are linear in the pooled features; cosines with texts are not."""
    layer = reader.last_layer()
    return not isinstance(layer, TextHead) or layer.projection is None


def logits_of_pooled(reader: FeatureReader, name: str, pooled: Tensor) -> Tensor:
    """Logits (b classes) of pooled features (b channels). Raises as `class_rows`."""
    layer = reader.last_layer()
    if isinstance(layer, TextHead) and not reads_linearly(reader):
        return layer.of_pooled(pooled)
    return F.linear(pooled, class_rows(reader, name), class_bias(reader, name))
