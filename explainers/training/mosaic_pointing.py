"""Grid pointing on mosaics of a batch's own images, cheap enough for every validation."""

import torch
from torch import Tensor

from explainers.metrics.energy_pointing import energy_pointing
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.mosaics import known_mosaics


@torch.no_grad()
def mosaic_pointing(explainer: LearnedExplainer, images: Tensor, number: int) -> Tensor:
    """Percent (n) of the energy of maps for the classes of cells that lies in these; 25 is chance.

    As `metrics.GridPointing`, of 2x2 mosaics that are the same for the same images. The class of
    a cell is the predicted one; cells count whose class the classifier knows surely, and that no
    other cell shows. Several processes have to ask together, for batches of the same size.

    Args:
        explainer: draws the maps.
        images: (b 3 h w) in [0, 1].
        number: of mosaics.
    """
    logits = explainer.classifier(images)
    labels = logits.argmax(dim=1)
    sure = explainer.classifier.decision.probability_of(labels, logits)
    shown = known_mosaics(images, labels, sure, number, seed=0)
    alone = (shown.classes[:, :, None] == shown.classes[:, None]).sum(dim=2) == 1
    counted = shown.sure & alone  # (m 4)
    if not counted.any():
        return images.new_zeros(0)
    mosaics = shown.images[counted.nonzero()[:, 0]]
    parts = zip(mosaics.split(len(images)), shown.classes[counted].split(len(images)), strict=True)
    scores = torch.cat([explainer(some, classes) for some, classes in parts])
    shares = energy_pointing(scores, shown.regions[counted][:, None])
    return shares[~shares.isnan()]
