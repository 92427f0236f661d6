"""Pooling of feature maps into an embedding, and the positions each of its entries comes from."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

GEM_POWER = 3.0  # Radenović et al. (https://arxiv.org/abs/1711.02512) initialise it so
GEM_FLOOR = 1e-6  # and keep maps above this, as the root of 0 has no gradient


class Pool(NamedTuple):
    """Pooling of feature maps (b k h w).

    Attributes:
        pooled: the embedding (b d); d is k, or k h w where positions are kept apart.
        located: maps (b k h w) whose spatial means are the pooled features, or, where positions
            are kept apart, h w times each feature at its own place.
    """

    pooled: Callable[[Tensor], Tensor]
    located: Callable[[Tensor], Tensor]


def mean(maps: Tensor) -> Tensor:
    """Mean (b k) over the positions of maps (b k h w)."""
    return maps.mean(dim=(2, 3))


def maximum(maps: Tensor) -> Tensor:
    """Maximum (b k) over the positions of maps (b k h w)."""
    return maps.amax(dim=(2, 3))


def generalised_mean(maps: Tensor) -> Tensor:
    """Generalised mean (b k) of the positive part of maps (b k h w)."""
    return maps.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean(dim=(2, 3)).pow(1 / GEM_POWER)


def _at_maximum(maps: Tensor) -> Tensor:
    """Each channel's maximum where it is taken, shared out evenly if it is taken repeatedly."""
    highest = maps == maps.amax(dim=(2, 3), keepdim=True)
    positions = maps[0, 0].numel()
    return maps * highest * (positions / highest.sum(dim=(2, 3), keepdim=True))


def _powers(maps: Tensor) -> Tensor:
    pooled = generalised_mean(maps)[..., None, None]
    return pooled * (maps.clamp(min=GEM_FLOOR) / pooled).pow(GEM_POWER)


def _flat(maps: Tensor) -> Tensor:
    return maps.flatten(1)


def _multiplied(maps: Tensor) -> Tensor:
    return maps * maps[0, 0].numel()


def _same(maps: Tensor) -> Tensor:
    return maps


POOLS = {
    "mean": Pool(mean, _same),
    "max": Pool(maximum, _at_maximum),
    "gem": Pool(generalised_mean, _powers),
    "flatten": Pool(_flat, _multiplied),
}
"""Poolings by name; `flatten` keeps the positions apart, as prototypes of Conv-4 networks do."""


def per_channel(values: Tensor, maps: Tensor) -> Tensor:
    """Sum pooled values (b d) over the positions that `flatten` kept apart: (b k)."""
    channels: Tensor = values.unflatten(1, (maps.shape[1], -1))
    return channels.sum(dim=2)


def over_positions(values: Tensor, maps: Tensor) -> Tensor:
    """Lay values (b d), one a pooled feature, out so that they multiply maps (b k h w)."""
    positions = maps.shape[2:] if values.shape[1] > maps.shape[1] else torch.Size((1, 1))
    laid_out: Tensor = values.unflatten(1, (maps.shape[1], *positions))
    return laid_out
