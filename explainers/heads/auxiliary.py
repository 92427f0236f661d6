"""Auxiliary networks: whose features a head reads in place of the classifier's own."""

from explainers.classifier import FrozenClassifier
from explainers.errors import InputError


def require_same_classes(auxiliary: FrozenClassifier, classifier: FrozenClassifier) -> None:
    """Refuse an auxiliary whose class rows are not those of the classifier's classes.

    Raises:
        InputError: it tells apart another number of classes, or reads its logits otherwise.
    """
    if auxiliary.num_classes != classifier.num_classes:
        raise InputError(
            f"the auxiliary has to tell apart the {classifier.num_classes} classes of the "
            f"classifier, and {auxiliary.name} knows {auxiliary.num_classes}; choose another, "
            "or leave it out"
        )
    if auxiliary.decision != classifier.decision:
        raise InputError(
            f"the auxiliary and the classifier have to read logits alike, got activation "
            f"{auxiliary.decision.activation} and {classifier.decision.activation}, or other "
            "thresholds; give both the same"
        )
