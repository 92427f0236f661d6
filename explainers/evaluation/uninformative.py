"""Uninformative baselines: maps that every explainer has to beat.

Each is a function of the images alone, (b 3 h w) to maps (b 1 h w) in [0, 1].
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.images.normalisation import min_max


def ones(images: Tensor) -> Tensor:
    """Every pixel is important."""
    return torch.ones_like(images[:, :1])


def fake_cam(images: Tensor) -> Tensor:
    """Every pixel but the top left one; it fools the average drop and the average increase.

    Poppi et al., Revisiting the Evaluation of Class Activation Mapping (2021).
    """
    maps = ones(images)
    maps[..., 0, 0] = 0
    return maps


def dimmed(images: Tensor) -> Tensor:
    """Half of every pixel, but nothing of the top left one and all of the next.

    Ours: it fools the average gain, which `fake_cam` does not. Many classifiers are surer of an
    image that is darker, whatever the map says of its parts.
    """
    maps = ones(images) / 2
    maps[..., 0, 0], maps[..., 0, 1] = 0, 1
    return maps


def centre_gaussian(images: Tensor) -> Tensor:
    """A Gaussian bump in the middle, of a quarter of each side: where photographers aim."""
    vertical, horizontal = (
        torch.exp(-0.5 * (torch.linspace(-2, 2, side, device=images.device)).square())
        for side in images.shape[-2:]
    )
    return (vertical[:, None] * horizontal).expand_as(images[:, :1])


def random(images: Tensor) -> Tensor:
    """Uniform noise, the same for every image."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(1, 1, *images.shape[-2:], generator=generator).to(images)
    return maps.expand_as(images[:, :1])


def edges(images: Tensor) -> Tensor:
    """Magnitude of the grey image's Sobel gradient, from its own min to max.

    Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292): it looks like an explanation, and knows
    nothing of any model.
    """
    grey = F.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[..., 2:] - grey[..., :-2]  # (b 1 h+2 w)
    across = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = grey[..., 2:, :] - grey[..., :-2, :]  # (b 1 h w+2)
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return min_max(torch.hypot(across, down))


UNINFORMATIVE: dict[str, Callable[[Tensor], Tensor]] = {
    function.__name__: function
    for function in (ones, fake_cam, dimmed, centre_gaussian, random, edges)
}
"""The uninformative maps by the name that tables give them."""


def uninformative_methods() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The baselines as methods, of images and a target that they do not look at."""
    return {name: partial(_of_images_alone, maps) for name, maps in UNINFORMATIVE.items()}


def _of_images_alone(maps: Callable[[Tensor], Tensor], images: Tensor, target: Tensor) -> Tensor:
    return maps(images)
