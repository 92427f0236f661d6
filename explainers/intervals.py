"""How far a mean over images can be trusted: bootstrap intervals."""

import torch
from torch import Tensor


def bootstrap_interval(
    values: Tensor, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (b); NaNs are left out.

    Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13. (nan, nan) without values.
    """
    values = values[~values.isnan()].double().cpu()
    if not len(values):
        return torch.nan, torch.nan
    generator = torch.Generator().manual_seed(seed)
    means = torch.stack(
        [
            values[torch.randint(len(values), (len(values),), generator=generator)].mean()
            for _ in range(resamples)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high
