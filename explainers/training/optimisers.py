"""Optimisers and learning rate schedules of the TAME family."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

NamedWeights = Iterable[tuple[str, nn.Parameter]]
"""Weights by name; those that require no gradient are left out."""


def adamw(named: NamedWeights, lr: float, weight_decay: float) -> Optimizer:
    """AdamW with AMSGrad and a first beta of .95, as published for P-TAME."""
    weights = [weight for _, weight in named if weight.requires_grad]
    return AdamW(weights, lr=lr, betas=(0.95, 0.999), weight_decay=weight_decay, amsgrad=True)


def sgd(
    named: NamedWeights,
    lr: float,
    weight_decay: float,
    bias_lr_factor: float = 1.0,
    decay_biases: bool = False,
) -> Optimizer:
    """SGD with Nesterov momentum and a group for biases, for heads on own features.

    Args:
        named: what is trained.
        lr: the rate, of biases times `bias_lr_factor`.
        weight_decay: of weights, and of biases where `decay_biases` says so.
        bias_lr_factor: see `lr`.
        decay_biases: see `weight_decay`.
    """
    trained = [(name, weight) for name, weight in named if weight.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [weight for name, weight in trained if not name.endswith("bias")]},
        {
            "params": [weight for name, weight in trained if name.endswith("bias")],
            "lr": lr * bias_lr_factor,
            "weight_decay": weight_decay if decay_biases else 0,
        },
    ]
    return SGD(groups, lr=lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)


def one_cycle(optimizer: Optimizer, steps: int) -> OneCycleLR:
    """One cycle of learning rate and momentum, by cosines, with its peak at the optimiser's rates.

    In three tenths of the steps each rate rises from a 25th of its peak, and then falls to a
    250,000th. Momentum (Adam's first beta) falls from .95 to .85 and rises again.

    Args:
        optimizer: each of its groups has its own peak.
        steps: of the whole fit.
    """
    return OneCycleLR(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
    )


def exponential(optimizer: Optimizer, factor: float) -> ExponentialLR:
    """Learning rates that are multiplied with `factor` after each epoch; momentum stays."""
    return ExponentialLR(optimizer, factor)
