"""Optimisers and learning rate schedules of the TAME family."""

import logging
import math
from collections.abc import Iterable
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

from explainers.errors import InputError

logger = logging.getLogger(__name__)

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


class OneCycle(OneCycleLR):
    """One cycle over the steps of the fit, also of one that resumes a shorter or longer fit."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the schedule was; where it had another length, at this one's rates."""
        steps, phases = self.total_steps, self._schedule_phases
        super().load_state_dict(state_dict)
        earlier = self.total_steps
        self.total_steps, self._schedule_phases = steps, phases
        if steps == earlier or self.last_epoch >= steps:  # nothing is left to train
            return
        self.last_epoch -= 1
        self.step()  # sets the rates of the step that it is at
        rank_zero_only(logger.warning)(
            f"the checkpoint's schedule has {earlier} steps, and this fit {steps}: the learning "
            f"rate goes on as if all of training had {steps}, at {self.get_last_lr()[0]:.3g}"
        )


def one_cycle(optimizer: Optimizer, steps: float) -> OneCycle:
    """One cycle of learning rate and momentum, by cosines, with its peak at the optimiser's rates.

    In three tenths of the steps each rate rises from a 25th of its peak, and then falls to a
    250,000th. Momentum (Adam's first beta) falls from .95 to .85 and rises again.

    Args:
        optimizer: each of its groups has its own peak.
        steps: of the whole fit.

    Raises:
        InputError: the number of steps is not known.
    """
    if not math.isfinite(steps):
        raise InputError(
            "a fit without an end has no one-cycle schedule; set trainer.max_epochs or max_steps"
        )
    return OneCycle(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=int(steps),
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
