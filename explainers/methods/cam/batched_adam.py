"""Per-image Adam optimiser: a batch of images, each optimised independently of its batch mates."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

Rows = dict[str, Tensor]
"""Tensors (b ...) by name, of which row i belongs to image i and leaves the batch with it."""


@dataclass(frozen=True)
class BatchedAdam:
    """Adam (https://arxiv.org/abs/1412.6980) on each row of a batch independently; maximises.

    Attributes:
        steps: of Adam.
        lr: its learning rate.
        keep_best: return the best of all steps instead of the last, for one more evaluation.
        patience: stop a row when its objective has not risen by more than `tolerance` for as many
            steps; None takes all steps.
        tolerance: see `patience`; in units of the objective.
        name: of the progress bar.
    """

    steps: int
    lr: float
    keep_best: bool = False
    patience: int | None = None
    tolerance: float = 0.0
    name: str = "Adam"

    def maximise(
        self, objective: Callable[[Tensor, Rows], Tensor], rows: Rows, u: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Maximise an objective (b) of variables u (b n).

        Args:
            objective: maps u (b n) and the rows still in the batch to values (b).
            rows: what the objective needs of each image.
            u: initial values (b n).

        Returns:
            u (b n), and the objective (b steps) before each step; NaN after the row stopped.
        """
        lowest = u.new_full((len(u),), -torch.inf)
        found = {"u": u.clone(), "best_u": u.clone(), "best": lowest}
        state = found | {
            "row": torch.arange(len(u), device=u.device),
            "momentum": torch.zeros_like(u),
            "square": torch.zeros_like(u),
            "threshold": lowest,
            "stale": torch.zeros_like(lowest),
        }
        remaining = rows
        curve = u.new_full((len(u), self.steps), torch.nan)
        steps = range(1, self.steps + 1)
        for step in tqdm(steps, desc=self.name, unit="step", leave=False, disable=None):
            u = state["u"].detach().requires_grad_()
            values = objective(u, remaining)
            # Their sum keeps rows independent; a mean would shrink gradients towards Adam's eps.
            (gradient,) = torch.autograd.grad(values.sum(), u)
            values = values.detach()
            curve[state["row"], step - 1] = values
            if self.keep_best:
                better = values > state["best"]
                state["best"] = torch.where(better, values, state["best"])
                state["best_u"] = torch.where(better[:, None], u.detach(), state["best_u"])
            self._step(state, gradient, step)
            if self.patience is not None:
                rises = values > state["threshold"] + self.tolerance
                state["threshold"] = torch.where(rises, values, state["threshold"])
                state["stale"] = torch.where(rises, 0, state["stale"] + 1)
                found = _stored(state, found)
                active = state["stale"] < self.patience
                if not active.any():
                    break
                if not active.all():
                    state = {name: value[active] for name, value in state.items()}
                    remaining = {name: value[active] for name, value in remaining.items()}
        found = _stored(state, found)
        if not self.keep_best:
            return found["u"], curve
        with torch.no_grad():
            last = objective(found["u"], rows) >= found["best"]
        return torch.where(last[:, None], found["u"], found["best_u"]), curve

    def _step(self, state: Rows, gradient: Tensor, step: int) -> None:
        """Take one step as torch.optim.Adam, which cannot drop rows, does: same order, same bits."""
        state["momentum"] = state["momentum"].lerp(gradient, 1 - 0.9)
        state["square"] = (0.999 * state["square"]).addcmul(gradient, gradient, value=1 - 0.999)
        root = state["square"].sqrt() / (1 - 0.999**step) ** 0.5 + 1e-8
        rate = self.lr / (1 - 0.9**step)
        state["u"] = state["u"].detach().addcdiv(state["momentum"], root, value=rate)


def _stored(state: Rows, found: Rows) -> Rows:
    """Results of all rows, updated by the state of the remaining ones."""
    return {
        name: values.index_copy(0, state["row"], state[name].detach())
        for name, values in found.items()
    }
