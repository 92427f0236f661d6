"""Insertion and deletion of the similarity to a reference."""

from explainers.metrics.deletion import Deletion
from explainers.metrics.insertion import Insertion


class SimilarityInsertion(Insertion):
    """Mean area under the cosine to a reference as pixels come in, in percent; higher is better.

    As `Insertion`, of the similarity where that takes a probability. A cosine of features that are
    never negative is far above 0 for any two images, also blurred ones: only methods with the same
    embedding can be compared.
    """

    reads = "similarity"


class SimilarityDeletion(Deletion):
    """Mean area under the cosine to a reference as pixels go, in percent; lower is better.

    As `Deletion`; see `SimilarityInsertion`.
    """

    reads = "similarity"
