"""Paired differences between the scores after a training and before it, in words."""

from collections.abc import Sequence

from explainers.evaluation.paired import paired_difference
from explainers.evaluation.records import BEFORE_TRAINING, Row
from explainers.report.summary import higher_is_better


def training_gain(records: Sequence[Row], explainer: str, metrics: Sequence[str]) -> str:
    """A line a metric: its change, the 95 % interval over the images, and whether it is chance.

    Args:
        records: of a test, with those of `BEFORE_TRAINING`.
        explainer: the name of the trained one's records.
        metrics: that have a value an image.
    """
    lines = []
    for metric in metrics:
        change = paired_difference(records, explainer, BEFORE_TRAINING, metric)
        higher = higher_is_better(metric)
        if change is None or higher is None:
            continue
        if not change.beyond_chance:
            verdict = "within chance"
        else:
            verdict = "better" if (change.mean > 0) == higher else "worse"
        name = metric.replace("_", " ")
        interval = f"[{change.low:.1f}, {change.high:.1f}]"
        lines.append(f"training changed {name} by {change.mean:+.1f} {interval}: {verdict}")
    return "\n".join(lines)
