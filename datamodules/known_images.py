"""Images that a classifier knows surely, by class."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule, Sample
from datamodules.samples.unreadable import CountingLoader, SkipUnreadable

Probabilities = Callable[[Tensor], Tensor]
"""Maps images (b 3 h w) in [0, 1] to the probabilities of the classes (b classes)."""


def known_images(
    data: ImageDataModule, probabilities: Probabilities, least: float
) -> tuple[dict[int, list[int]], int]:
    """Positions, by class, of the images of a test split that a classifier knows surely.

    Args:
        data: set up; each process reads the whole split.
        probabilities: of the classifier.
        least: as `surely_known` takes it.

    Returns:
        Positions in `data.test_set` by class, and the number of images that could be read.

    Raises:
        DataError: more images than `data` allows cannot be read.
    """
    members: dict[int, list[int]] = {}
    count = 0
    positions = range(len(data.test_set))  # type: ignore[arg-type]
    samples = SkipUnreadable(_Numbered(data.test_set), positions, data.unreadable)
    for batch in CountingLoader(samples, batch_size=data.batch_size, **data.loader_options()):
        if not len(batch["image"]):  # none of them could be read
            continue
        count += len(batch["image"])
        answers = probabilities(batch["image"]).cpu()
        predicted, known = surely_known(answers, batch.get("label"), least)
        chosen = batch["position"][known].tolist()
        for label, position in zip(predicted[known].tolist(), chosen, strict=True):
            members.setdefault(label, []).append(position)
    return members, count


def surely_known(
    probabilities: Tensor, labels: Tensor | None, least: float
) -> tuple[Tensor, Tensor]:
    """Predicted classes (b) int64, and whether (b) bool each is the image's, and sure.

    Args:
        probabilities: of the classes (b classes).
        labels: the class of each image (b), or None where it is unknown: the predicted one, then.
        least: probability from which on a prediction is sure.
    """
    confidence, predicted = probabilities.max(dim=1)
    known = confidence >= least
    return predicted, known if labels is None else known & (predicted == labels)


class _Numbered(Dataset[Sample]):
    """Samples, each with its `position` in the data set."""

    def __init__(self, images: Dataset[Sample]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        return self.images[index] | {"position": torch.tensor(index)}
