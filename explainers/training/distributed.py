"""Processes of a training: gathered labels, means, random numbers, and a batch norm.

N processes with batches of b train as one with a batch of N b does: the objective looks at the
classes of all N b images, batch norms see all of them, and what is logged is the mean.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn


def count() -> int:
    """Number of processes."""
    return distributed.get_world_size() if _several() else 1


def first_of(labels: Tensor) -> int:
    """Position of the first of this process's labels (b) among those of `of_all`."""
    return distributed.get_rank() * len(labels) if _several() else 0


def step_seed(step: int) -> int:
    """A seed for what a step of this process draws, which no other process or step has."""
    return step * count() + (distributed.get_rank() if _several() else 0)


def of_all(labels: Tensor) -> Tensor:
    """Labels (n) of the batches of all processes, from labels (b) of this one's.

    The batches have to be equally large, as those of training always are.
    """
    if not _several():
        return labels
    parts = [torch.empty_like(labels) for _ in range(count())]
    distributed.all_gather(parts, labels.contiguous())
    return torch.cat(parts)


def uniform(labels: Tensor, seed: int, *shape: int) -> Tensor:
    """Random numbers (b *shape) in [0, 1) for the images of this process's labels (b).

    An image's numbers depend on the seed and on its position in the batches of all processes.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(count() * len(labels), *shape, generator=generator)
    first = first_of(labels)
    return numbers[first : first + len(labels)].to(labels.device)


def means(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The means over all processes of numbers that each of them has; NaN counts for nothing."""
    if not _several():
        return dict(values)
    own = torch.stack([value.detach().float() for value in values.values()])
    known = ~own.isnan()
    both = torch.stack([own.nan_to_num(), known.float()])
    distributed.all_reduce(both)
    return dict(zip(values, both[0] / both[1], strict=True))


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device.

    torch's `SyncBatchNorm` works on accelerators only. The processes' batches have to be equally
    large.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (b c h w)."""
        if not (self.training and _several()):
            return super().forward(features)
        assert self.momentum is not None  # for the type checker
        exact = features.to(torch.promote_types(features.dtype, torch.float32))
        mean = _mean_of_all(exact.mean(dim=(0, 2, 3)))
        centred = exact - mean[:, None, None]
        variance = _mean_of_all(centred.square().mean(dim=(0, 2, 3)))
        if self.running_mean is not None and self.running_var is not None:
            number = count() * features[:, 0].numel()
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
                unbiased = variance * number / max(1, number - 1)
                self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        result = centred * scale[:, None, None]
        if self.affine:
            result = result + self.bias[:, None, None]
        return result.to(features.dtype)


class _MeanOfAll(torch.autograd.Function):
    """The mean over the processes, whose gradient is that of all their losses together."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # noqa: ANN401  torch's own
        return _reduced(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401  torch's own
        return _reduced(gradient)


def _mean_of_all(value: Tensor) -> Tensor:
    mean: Tensor = _MeanOfAll.apply(value)
    return mean


def _reduced(value: Tensor) -> Tensor:
    total = value.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / count()


def _several() -> bool:
    ready = distributed.is_available() and distributed.is_initialized()
    return ready and distributed.get_world_size() > 1
