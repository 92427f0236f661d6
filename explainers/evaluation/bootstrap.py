"""Bootstrap intervals of means over images."""

import torch
from torch import Tensor

DRAWS = 2**20  # at once; 16 MB


def bootstrap_interval(
    values: Tensor, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (b); NaNs are left out.

    Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13. (nan, nan) without values.
    """
    low, high = bootstrap_band(values[:, None], confidence, resamples, seed)
    return float(low), float(high)


def bootstrap_band(
    values: Tensor, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """As `bootstrap_interval`, of each column of values (b n), whose rows are drawn together."""
    values = values[~values.isnan().any(dim=1)].double().cpu()
    if not len(values):
        nothing = torch.full(values.shape[1:], torch.nan)
        return nothing, nothing
    generator = torch.Generator().manual_seed(seed)
    means = []
    together = max(DRAWS // len(values), 1)
    for start in range(0, resamples, together):
        shape = (min(together, resamples - start), len(values))
        drawn = torch.randint(len(values), shape, generator=generator)
        times = torch.zeros(shape, dtype=values.dtype).scatter_add_(
            1, drawn, torch.ones((), dtype=values.dtype).expand(shape)
        )
        means.append(times @ values / len(values))
    tail = (1 - confidence) / 2
    low, high = torch.cat(means).quantile(
        torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0
    )
    return low, high
