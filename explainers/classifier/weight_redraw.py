"""Random weights in the place of a network's own, under which its logits still follow the image."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from explainers.classifier.seeding import seeded

CALIBRATION_IMAGES = 8
SCALES = (7, 28, 112)  # pixels; details of several sizes, as images have them

STEPS = 256  # that a deviation is divided into


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
    with seeded(seed):
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
            exact = weight.double()
            weight.copy_(exact.mean() + torch.randn_like(weight) * exact.std(correction=0))


def _calibrate(model: nn.Module, norms: list[_BatchNorm], images: Tensor) -> None:
    """Set batch statistics to those of normalised images (b 3 h w).

    They are measured in float64 and then rounded, as sums in float32 depend on the number of
    threads, and the same seed has to give the same weights everywhere.
    """
    for norm in norms:
        norm.reset_running_stats()
    measured = copy.deepcopy(model).double().eval()
    copies = [part for part in measured.modules() if isinstance(part, _BatchNorm)]
    for norm in copies:
        norm.momentum = None  # the mean of all batches, of which there is one
        norm.train()
    measured(images)
    for norm, other in zip(norms, copies, strict=True):
        if other.running_mean is not None and other.running_var is not None:
            deviation = other.running_var.sqrt().clamp(min=torch.finfo(torch.float32).tiny)
            # In steps of the deviation: a mean of 0 comes out as any tiny number. Added to 0, as
            # -0.0 has other bytes.
            mean = (other.running_mean / deviation * STEPS).round() / STEPS * deviation.bfloat16()
            norm.get_buffer("running_mean").copy_(mean + 0.0)
            norm.get_buffer("running_var").copy_(other.running_var.bfloat16())


def _noise(size: tuple[int, int]) -> Tensor:
    """Noise (b 3 h w), float64, of several scales, of mean 0 and about unit variance."""
    layers = [
        F.interpolate(
            torch.randn(CALIBRATION_IMAGES, 3, side, side).double(), size, mode="bilinear"
        )
        for side in SCALES
    ]
    total = torch.stack(layers).sum(dim=0)
    return total / total.std()
