"""Targets: labels of any whole numbers, one an image, and references that can be embeddings."""

import pytest
import torch

from explainers import FrozenClassifier
from explainers.classifier.targets import labels_of, require_references
from explainers.errors import InputError


@pytest.fixture
def classifier(source):
    return FrozenClassifier(**source)


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8])
def test_labels_of_any_whole_numbers_become_int64(classifier, images, kind):
    labels = labels_of(classifier, images, torch.tensor([3, 0, 1], dtype=kind))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [3, 0, 1]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (torch.tensor([[1], [0], [2]]), r"got int64 \(3, 1\)"),
        (torch.tensor([True, False, True]), r"got bool \(3,\)"),
        (torch.tensor(1), "3 images need as many targets, got a single number"),
    ],
    ids=["column", "bool", "number"],
)
def test_what_is_no_row_of_labels_is_refused(classifier, images, target, found):
    with pytest.raises(InputError, match=found):
        labels_of(classifier, images, target)


@pytest.mark.parametrize(
    ("references", "found"),
    [
        (torch.zeros(3, 4), r"finite and \(3 5\).* of net, got \(3, 4\)$"),
        (torch.zeros(3, 5, 1), r"got \(3, 5, 1\)$"),
        (torch.full((3, 5), torch.nan), r"got \(3, 5\), of which some are NaN or infinite"),
        (torch.zeros(2, 5), "3 images need as many targets, got 2"),
    ],
    ids=["width", "more dimensions", "NaN", "number"],
)
def test_references_that_are_no_embeddings_are_refused(images, references, found):
    with pytest.raises(InputError, match=found):
        require_references(images, references, 5, "net")
