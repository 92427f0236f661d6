"""Test-time refinement: a few optimisation steps that start from a mask of a single pass."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.images.normalisation import min_max
from explainers.images.pixel_removal import keep

# The correction is drawn this many times coarser than the image, so that it moves regions and
# does not hide a pattern in single pixels.
COARSENESS = 16
RATE = 0.4  # logits of the mask a step
AREA_WEIGHT = 0.5  # log-odds for the area of the whole image


def refine(
    classifier: FrozenClassifier,
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    steps: int,
    area_weight: float = AREA_WEIGHT,
) -> Tensor:
    """Raise the log-odds of the target on the masked image, less its weighted area.

    Adam on a coarse correction of each mask's logits, which starts at 0; in the manner of Opti-CAM
    (https://arxiv.org/abs/2301.07002), from a better start. Objectives are summed, so an image's
    mask does not depend on its batch mates. Each step costs a forward and a backward pass.

    Log-odds, unlike log-probabilities, still rise where the classifier is all but certain.

    Args:
        classifier: what is explained.
        images: (b 3 h w) in [0, 1].
        labels: the targets (b).
        masks: (b 1 h w) in [0, 1], where to start.
        steps: of Adam; 0 returns the masks.
        area_weight: weight of the mask's area, in log-odds for the whole image; raise it for
            smaller masks.

    Returns:
        Masks (b 1 h w) in [0, 1].
    """
    with torch.inference_mode(False), torch.enable_grad():
        images, labels = images.clone(), labels.clone()
        start = torch.logit(masks.detach().clone(), eps=1e-4)
        coarse = [max(1, side // COARSENESS) for side in images.shape[-2:]]
        correction = start.new_zeros(len(images), 1, *coarse, requires_grad=True)
        optimizer = torch.optim.Adam([correction], lr=RATE)
        for _ in range(steps):
            refined = _corrected(start, correction)
            maps = min_max(refined)
            logits = classifier(keep(images, maps))
            odds = classifier.decision.log_odds(labels, logits)
            loss = (area_weight * maps.mean(dim=(1, 2, 3)) - odds).sum()
            (correction.grad,) = torch.autograd.grad(loss, correction)
            optimizer.step()
    return _corrected(start, correction).detach()


def _corrected(start: Tensor, correction: Tensor) -> Tensor:
    size = list(start.shape[-2:])
    return (start + F.interpolate(correction, size, mode="bilinear")).sigmoid()
