"""The norm of the gradients that an optimiser steps by."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from explainers.callbacks.logged_steps import is_logged


class GradientNorm(Callback):
    """Logs `train/gradient_norm`, the L2 norm of all gradients of a step, before any clipping.

    It is computed at the steps that are logged; of mixed precision, without the scale of the loss.
    """

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Log the norm."""
        gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
        if gradients and is_logged(trainer):
            pl_module.log("train/gradient_norm", get_total_norm(gradients).to(torch.float32))
