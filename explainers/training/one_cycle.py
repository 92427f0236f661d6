"""The learning rate over a fit, the same in all papers of the TAME family."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


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
