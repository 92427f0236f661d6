"""Classes that a training step looks at: one that an image shows, all of them, and absent ones."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier.decision import Decision
from explainers.training.distributed import first_of, of_all, uniform


def drawn_classes(decision: Decision, logits: Tensor, seed: int) -> Tensor:
    """One of the classes that each image shows (b), of logits (b classes).

    Where classes exclude each other, the predicted one. Else each of those shown is as likely as
    the others, so that a fit of several epochs trains on all of them, in batches of one size.

    Args:
        decision: the reading of the logits.
        logits: of the whole images (b classes).
        seed: of the draw; the same gives the same.
    """
    likeliest = logits.argmax(dim=1)
    if decision.exclusive:
        return likeliest
    order = uniform(likeliest, seed, logits.shape[1])
    return order.where(decision.shown(logits), -1).argmax(dim=1)


def classes_before(labels: Tensor) -> Tensor:
    """The class (b) of the image before each one, in the batches of all processes."""
    first = first_of(labels)
    return of_all(labels).roll(1)[first : first + len(labels)]


def present(decision: Decision, labels: Tensor, logits: Tensor) -> Tensor:
    """The classes that images show (b classes) bool.

    Args:
        decision: the reading of the logits.
        labels: of each image (b), always among them; alone where classes exclude each other.
        logits: of the whole images (b classes).
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    return own if decision.exclusive else own | decision.shown(logits)


def listed(shown: Tensor, labels: Tensor, logits: Tensor, most: int) -> Tensor:
    """Positions (b n) of the classes shown (b classes) bool: `labels`, then the likeliest first.

    `n` is the largest number that an image shows in the batches of all processes, but not over
    `most`; images that show fewer have their label again in the last places.
    """
    count = min(most, int(of_all(shown.sum(dim=1)).max()))
    order = logits.masked_fill(~shown, -torch.inf)
    order = order.scatter(1, labels[:, None], torch.inf)
    values, classes = order.topk(count, dim=1)
    return classes.where(values > -torch.inf, labels[:, None])


def absent_classes(shown: Tensor, labels: Tensor, seed: int) -> Tensor:
    """One of the classes that each image does not show (b), each as likely; its label without any.

    Args:
        shown: (b classes) bool.
        labels: of each image (b).
        seed: of the draw; the same gives the same.
    """
    order = uniform(labels, seed, shown.shape[1]).masked_fill(shown, -1)
    return order.argmax(dim=1).where(~shown.all(dim=1), labels)
