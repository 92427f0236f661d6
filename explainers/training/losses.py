"""Terms that an explainer's objective is built from: pure functions of maps (b n h w) in [0, 1].

`n` counts maps of one image: the classes for which the objective looks at it.
"""

import torch
from torch import Tensor


def area(maps: Tensor, power: float = 1.0, epsilon: float = 5e-4) -> Tensor:
    """Mean of (map + epsilon) ** power: the price of calling every pixel important.

    A power under 1 pushes values to 0 and 1. `epsilon` keeps the gradient finite at 0; TAME uses
    5e-4 (https://arxiv.org/abs/2301.07407).
    """
    return (maps + epsilon).pow(power).mean()


def variation(maps: Tensor, border: float = 0.0, corners_twice: bool = False) -> Tensor:
    """Squared steps between neighbours plus `border` times squared border pixels, a pixel.

    The mean over maps and pixels. The TAME family publishes the sum over the b * b maps of a batch
    divided by 2 b, which is `published_variation_factor` times this.

    Args:
        maps: (b n h w).
        border: weight of the border pixels.
        corners_twice: count the four corners with their rows and again with their columns, as
            the published term does; otherwise every border pixel counts once.
    """
    vertical = (maps[..., 1:, :] - maps[..., :-1, :]).square().sum()
    horizontal = (maps[..., :, 1:] - maps[..., :, :-1]).square().sum()
    total = vertical + horizontal
    if border and corners_twice:
        sides = (maps[..., :1, :], maps[..., -1:, :], maps[..., :1], maps[..., -1:])
        total = total + border * sum(side.square().sum() for side in sides)
    elif border:
        edge = torch.ones_like(maps[0, 0], dtype=torch.bool)
        edge[1:-1, 1:-1] = False
        total = total + border * maps[..., edge].square().sum()
    return total / maps.numel()


def published_variation_factor(batch_size: int, height: int, width: int) -> float:
    """Factor from `variation` to the published term, for b * b maps of one size.

    Multiply a published coefficient with it: at a batch of 32 and 56 x 56 pixels it is 50,176.
    """
    return batch_size * height * width / 2


def mean_areas(masks: Tensor, labels: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Mean mask value on target and off target; NaN where there is no such mask.

    Args:
        masks: (b n _ _).
        labels: each image's own class (b).
        asked: the classes (b n) of the masks, or (1 n) where they are the same for all images.
    """
    areas = masks.mean(dim=(-2, -1))
    own = (asked == labels[:, None]).expand_as(areas)
    return areas[own].mean(), areas[~own].mean()


def confidence_lost(before: Tensor, after: Tensor) -> Tensor:
    """Mean of what the average drop counts less what the average gain counts, from -1 to 1.

    Unlike a cross entropy it is bounded, and moves from 0 only as far as the mask has changed the
    classifier's mind: an image that is hard to recognise does not outweigh the others.

    Args:
        before: probability (b) of the target on the whole image.
        after: the same on the masked one.
    """
    drop = (before - after).relu() / before.clamp(min=torch.finfo(before.dtype).tiny)
    gain = (after - before).relu() / (1 - before + 0.02)  # the last 2 % are not worth a fight
    return (drop - gain).mean()


def survival(after: Tensor) -> Tensor:
    """Mean of -log(1 - p): the loss of what remains of a prediction that is to be deleted.

    Args:
        after: probability (b) of the target on the image without what its map calls important.
    """
    # Finite where nothing of the prediction is lost.
    return -torch.log1p(-after.clamp(max=1 - 1e-4)).mean()
