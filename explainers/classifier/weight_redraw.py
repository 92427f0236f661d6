"""Random weights in the place of a network's own, under which its logits still follow the image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

CALIBRATION_IMAGES = 16
SCALES = (7, 28, 112)  # pixels; details of several sizes, as images have them


@torch.no_grad()
def redraw(model: nn.Module, seed: int, size: tuple[int, int]) -> None:
    """Draw all weights of a model anew, in place; the same for the same seed.

    Convolutions and linear layers are drawn as He et al. 2015
    (https://arxiv.org/abs/1502.01852), other modules by their own `reset_parameters`, and
    parameters of modules without it from a normal distribution with the mean and standard deviation
    of their tensor. Batch statistics are reset, and then those of noise of several scales.

    Args:
        model: stays in eval mode.
        seed: of the weights and the noise; torch's global state is left as it was.
        size: height and width of the noise, in pixels.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in model.modules():
            _redraw(part)
        norms = [part for part in model.modules() if isinstance(part, _BatchNorm)]
        if any(norm.track_running_stats for norm in norms):
            _calibrate(model, norms, _noise(size))


def _redraw(part: nn.Module) -> None:
    """Draw a module's own weights, not those of its parts."""
    if isinstance(part, nn.Linear | nn.modules.conv._ConvNd):
        # By torch's own, smaller draws, the logits of deep networks do not depend on the image:
        # those of EfficientNet-Lite0 would differ by 1e-9 between photographs.
        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        if part.bias is not None:
            nn.init.zeros_(part.bias)
    elif callable(reset := getattr(part, "reset_parameters", None)):
        reset()
    else:
        for weight in part.parameters(recurse=False):
            weight.copy_(weight.mean() + torch.randn_like(weight) * weight.std(correction=0))


def _calibrate(model: nn.Module, norms: list[_BatchNorm], images: Tensor) -> None:
    """Set batch statistics to those of normalised images (b 3 h w)."""
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, of which there is one
        norm.train()
    first = next(model.parameters())
    model(images.to(first))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _noise(size: tuple[int, int]) -> Tensor:
    """Noise (b 3 h w) of several scales, of mean 0 and about unit variance."""
    layers = [
        F.interpolate(torch.randn(CALIBRATION_IMAGES, 3, side, side), size, mode="bilinear")
        for side in SCALES
    ]
    total = torch.stack(layers).sum(dim=0)
    return total / total.std()
