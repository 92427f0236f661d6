"""Steps of a fit that are logged."""

from lightning.pytorch import Trainer


def is_logged(trainer: Trainer) -> bool:
    """Whether the running step of a fit is one of every `log_every_n_steps`."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return bool(every) and (trainer.global_step + 1) % every == 0
