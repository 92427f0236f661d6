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
    """Sentences, as Markdown: who wins most metrics, by chance or not, and which metrics mislead.

    Args:
        methods: rows of the methods.
        baselines: rows of the uninformative baselines.
        records: one an image and method.
        directions: by metric, whether higher is better.
    """
    best: dict[str, Row] = {}
    fooled = []
    for metric, higher in directions.items():
        first = best_of(_scored(methods, metric), metric)
        if first is None:
            continue
        if len({row.get(metric) for row in methods}) > 1:
            best[metric] = first
        nothing = best_of(_scored(baselines, metric), metric)
        sign = 1 if higher else -1
        if nothing is not None and sign * nothing[metric] >= sign * first[metric]:
            fooled.append(f"{title(metric)} (`{nothing['explainer']}`)")
    sentences = []
    if best:
        names = [row["explainer"] for row in best.values()]
        most = max(dict.fromkeys(names), key=names.count)
        mine = [metric for metric, row in best.items() if row["explainer"] == most]
        count = f"{len(mine)} of {len(best)} metrics" if len(best) > 1 else title(mine[0])
        sure = [title(metric) for metric in mine if _beats_all(most, methods, records, metric)]
        chance = f"by more than chance in {', '.join(sure)}" if sure else "nowhere beyond chance"
        if len(methods) > 1:
            sentences.append(f"`{most}` is best by {count}, {chance}.")
    if fooled:
        sentences.append(
            f"A map that explains nothing is as good as the best method by {', '.join(fooled)}: "
            "do not rank by that alone."
        )
    return sentences


def _scored(rows: Sequence[Row], metric: str) -> list[Row]:
    """Rows with a figure that is a number."""
    return [
        row for row in rows if isinstance(row.get(metric), float) and row[metric] == row[metric]
    ]


def _beats_all(name: str, methods: Sequence[Row], records: Sequence[Row], metric: str) -> bool:
    """Whether the differences to all other methods are beyond chance."""
    others = [row["explainer"] for row in methods if row["explainer"] != name]
    found = [paired_difference(records, name, other, metric) for other in others]
    return all(one is not None and one.beyond_chance for one in found)
