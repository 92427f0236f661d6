"""Optimisers and the schedule of the TAME family."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR

NamedWeights = Iterable[tuple[str, nn.Parameter]]
"""Weights by name; those that require no gradient are left out."""


def adamw(named: NamedWeights, lr: float, weight_decay: float) -> Optimizer:
    """AdamW with AMSGrad and a first beta of .95, as published for P-TAME."""
    weights = [weight for _, weight in named if weight.requires_grad]
    return AdamW(weights, lr=lr, betas=(0.95, 0.999), weight_decay=weight_decay, amsgrad=True)


def sgd(named: NamedWeights, lr: float, weight_decay: float) -> Optimizer:
    """SGD with Nesterov momentum and no weight decay on biases, for heads on own features."""
    trained = [(name, weight) for name, weight in named if weight.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [weight for name, weight in trained if not name.endswith("bias")]},
        {
            "params": [weight for name, weight in trained if name.endswith("bias")],
            "weight_decay": 0,
        },
    ]
    return SGD(groups, lr=lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)


def one_cycle(optimizer: Optimizer, lr: float, steps: int, cycle_momentum: bool) -> OneCycleLR:
    """Rise from lr / 25 to lr in three tenths of the steps, and fall to a 250,000th, by cosines.

    Args:
        optimizer: whose rate is set.
        lr: the peak.
        steps: of the whole fit.
        cycle_momentum: let momentum (Adam's first beta) fall from .95 to .85 as the rate rises,
            and rise as it falls.
    """
    return OneCycleLR(
        optimizer,
        lr,
        total_steps=steps,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=cycle_momentum,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
    )
