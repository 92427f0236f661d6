"""The class of each image that a training step looks at."""

import torch
from torch import Tensor

from explainers.classifier.decision import Decision


def drawn_classes(decision: Decision, logits: Tensor, seed: int) -> Tensor:
    """One of the classes that each image shows (b), of logits (b classes).

    Where classes exclude each other, the predicted one. Else each of those shown is as likely as
    the others, so that a fit of several epochs trains on all of them, in batches of one size.

    Args:
        decision: the reading of the logits.
        logits: of the whole images (b classes).
        seed: of the draw; the same gives the same.
    """
    if decision.exclusive:
        return logits.argmax(dim=1)
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(logits.shape, generator=generator).to(logits.device)
    return order.where(decision.shown(logits), -1).argmax(dim=1)
