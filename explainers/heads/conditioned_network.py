"""Conditioned networks for a classifier, from the options that learned explainers share."""

from collections.abc import Sequence

from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.features import require_stages
from explainers.errors import MOST_COUNTED, InputError, require_whole
from explainers.heads.attention_head import default_stages
from explainers.heads.conditioned_head import ConditionedHead, ConditionedNetwork
from explainers.heads.decoding_head import DecodingHead, require_width


def backbone_for(
    classifier: FrozenClassifier, auxiliary: ClassifierSource | None
) -> FrozenClassifier:
    """The network whose features a head reads: the auxiliary or, without one, the classifier.

    Raises:
        InputError: it has other classes than the classifier, or reads logits otherwise.
    """
    backbone = classifier if auxiliary is None else FrozenClassifier.of(auxiliary)
    if backbone.num_classes != classifier.num_classes:
        raise InputError(
            f"the auxiliary has to tell apart the {classifier.num_classes} classes of the "
            f"classifier, and {backbone.name} knows {backbone.num_classes}; choose another, "
            "or leave it out"
        )
    if backbone.decision != classifier.decision:
        raise InputError(
            f"the auxiliary and the classifier have to read logits alike, got activation "
            f"{backbone.decision.activation} and {classifier.decision.activation}, or other "
            "thresholds; give both the same"
        )
    return backbone


def chosen_stages(backbone: FrozenClassifier, stages: Sequence[int] | None) -> list[int]:
    """Stages to read, finest first; None stands for those of P-TAME and the one that is pooled.

    Raises:
        InputError: the network has no such stage.
    """
    chosen = [*default_stages(backbone), -1] if stages is None else list(stages)
    require_stages(backbone.stages, chosen)
    return chosen


def require_rivals(backbone: FrozenClassifier) -> None:
    """Refuse a network of fewer than two classes: InputError."""
    if backbone.num_classes < 2:
        raise InputError(
            f"a class is told from others, and {backbone.name} has {backbone.num_classes}; choose "
            "a classifier of two classes or more"
        )


def conditioned_network(
    backbone: FrozenClassifier,
    stages: Sequence[int],
    hidden: int,
    decoder_width: int,
    bounded: bool = True,
) -> ConditionedNetwork:
    """A network of a `DecodingHead` or, where `decoder_width` is 0, of a `ConditionedHead`.

    Args:
        backbone: whose features are read.
        stages: which of its stages, finest first; the last has to be what it pools.
        hidden: as `ConditionedHead` takes it.
        decoder_width: width of the `DecodingHead`.
        bounded: as `ConditionedNetwork` takes it.

    Raises:
        InputError: a number is out of its range, or there is a class too few to tell from others.
    """
    require_whole("hidden", hidden, 1, MOST_COUNTED)
    if decoder_width:
        require_width("decoder_width", decoder_width)
    require_rivals(backbone)
    channels = [backbone.stages[stage].channels for stage in stages]
    head = (
        DecodingHead(channels, decoder_width)
        if decoder_width
        else ConditionedHead(channels, hidden)
    )
    return ConditionedNetwork(backbone, stages, head, bounded)
