"""What stands out of a comparison, in a few sentences for the top of a page."""

from collections.abc import Mapping, Sequence

from explainers.evaluation.paired import paired_difference
from explainers.evaluation.records import Row
from explainers.report.summary import best_of, title


def headline(
    methods: Sequence[Row],
    baselines: Sequence[Row],
    records: Sequence[Row],
    directions: Mapping[str, bool],
) -> list[str]:
    """Sentences, as Markdown: who beats all others beyond chance, and which metrics mislead.

    Metrics that an uninformative baseline wins count for no method.

    Args:
        methods: rows of the methods.
        baselines: rows of the uninformative baselines.
        records: one an image and method.
        directions: by metric, whether higher is better.
    """
    best: dict[str, list[str]] = {}
    fooled = []
    for metric, higher in directions.items():
        first = best_of(methods, metric)
        if first is None:
            continue
        nothing = best_of(baselines, metric)
        sign = 1 if higher else -1
        if nothing is not None and sign * nothing[metric] >= sign * first[metric]:
            fooled.append(f"{title(metric)} (`{nothing['explainer']}`)")
        elif len({row.get(metric) for row in methods}) > 1:
            best.setdefault(first["explainer"], []).append(metric)
    sentences = []
    if best:
        sure = {
            name: [title(one) for one in metrics if _beats_all(name, methods, records, one)]
            for name, metrics in best.items()
        }
        told = [f"`{name}` in {', '.join(metrics)}" for name, metrics in sure.items() if metrics]
        most = max(best, key=lambda name: len(best[name]))
        count = f"{len(best[most])} of {sum(map(len, best.values()))} metrics"
        sentences.append(
            f"Better than every other method by more than chance: {'; '.join(told)}."
            if told
            else f"No method beats all others by more than chance; `{most}` is best in {count}."
        )
    if fooled:
        sentences.append(
            f"A map that explains nothing is as good as the best method in {', '.join(fooled)}: "
            "do not rank by that alone."
        )
    return sentences


def _beats_all(name: str, methods: Sequence[Row], records: Sequence[Row], metric: str) -> bool:
    """Whether the differences to all other methods are beyond chance."""
    others = [row["explainer"] for row in methods if row["explainer"] != name]
    found = [paired_difference(records, name, other, metric) for other in others]
    return all(one is not None and one.beyond_chance for one in found)
