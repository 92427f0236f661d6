"""Class rows: weights and bias of the linear layer that reads the pooled features."""

from torch import Tensor

from explainers.classifier.features import FeatureReader, two_sided
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
        raise InputError(f"{name} does not decide by one linear layer on its pooled features")
    # MobileNets keep theirs as a 1x1 convolution; the one row of a single logit stands for two.
    return two_sided(weight.flatten(1).mT).mT


def class_bias(reader: FeatureReader, name: str) -> Tensor:
    """The bias (classes) beside the rows; zeros where there is none. Raises as `class_rows`."""
    rows = class_rows(reader, name)
    bias: Tensor | None = getattr(reader.last_layer(), "bias", None)
    return rows.new_zeros(len(rows)) if bias is None else two_sided(bias[None])[0]
