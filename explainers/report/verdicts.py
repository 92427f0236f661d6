"""Verdicts of a comparison in words: who wins by more than chance, ranks, and what depends on fills."""

import math
from collections.abc import Iterator, Mapping, Sequence

from explainers.evaluation.paired import Difference, paired_difference
from explainers.evaluation.ranks import Ranks
from explainers.evaluation.records import Row
from explainers.report.summary import scored


def verdicts(
    methods: Sequence[Row],
    baselines: Sequence[Row],
    records: Sequence[Row],
    directions: Mapping[str, bool],
    ranks: Ranks | None,
) -> list[str]:
    """Sentences on a comparison, as Markdown.

    A difference is beyond chance where the 95 % bootstrap interval of the paired differences, over
    the images, leaves 0 out; several metrics and methods are not corrected for.

    Args:
        methods: rows of the methods.
        baselines: rows of the uninformative baselines.
        records: one an image and method.
        directions: by metric, whether higher is better.
        ranks: of the methods.
    """
    found, best = [], {}
    for metric, higher in directions.items():
        order = _ordered(methods, metric, higher)
        if not order:
            continue
        if not _tied(order, metric):
            best[metric] = order[0]["explainer"]
        beside = _beside_baselines(metric, higher, order[0], baselines, records)
        found.append(f"{_winner(metric, order, records)} {beside}".rstrip())
    found += list(_by_fill(best))
    if ranks is not None:
        found.append(_ranked(ranks))
    return found


def _ordered(rows: Sequence[Row], metric: str, higher: bool) -> list[Row]:
    """Rows that have a figure of a metric, the best first."""
    return sorted(scored(rows, metric), key=lambda row: row[metric], reverse=higher)


def _tied(rows: Sequence[Row], metric: str) -> bool:
    """Whether several rows all have the same figure."""
    return len(rows) > 1 and len({row[metric] for row in rows}) == 1


def _winner(metric: str, order: Sequence[Row], records: Sequence[Row]) -> str:
    first, *others = order
    if _tied(order, metric):
        return f"`{metric}`: all methods have {first[metric]:.2f}."
    text = f"`{metric}`: best is `{first['explainer']}` ({first[metric]:.2f})"
    beaten, close = [], []
    for row in others:
        one = paired_difference(records, first["explainer"], row["explainer"], metric)
        if one is None:
            continue
        if one.beyond_chance:
            beaten.append(f"`{row['explainer']}`")
        else:
            close.append(f"`{row['explainer']}` ({_text(one)})")
    if beaten:
        text += f", by more than chance over {', '.join(beaten)}"
    if close:
        text += f"{'; ' if beaten else ', '}not by more than chance over {', '.join(close)}"
    return text + "."


def _text(difference: Difference) -> str:
    return f"difference {difference.mean:.2f} [{difference.low:.2f}, {difference.high:.2f}]"


def _beside_baselines(
    metric: str, higher: bool, best: Row, baselines: Sequence[Row], records: Sequence[Row]
) -> str:
    """The best uninformative baseline, and whether the best method is better."""
    sign = 1 if higher else -1
    fooling = next(iter(_ordered(baselines, metric, higher)), None)
    if fooling is None:
        return ""
    has = f"`{fooling['explainer']}`, which explains nothing, has {fooling[metric]:.2f}"
    if sign * fooling[metric] >= sign * best[metric]:
        return f"{has}: do not rank by this metric alone."
    one = paired_difference(records, best["explainer"], fooling["explainer"], metric)
    if one is not None and not one.beyond_chance:
        return f"{has}, and these images do not tell them apart ({_text(one)})."
    return f"{has}."


def _by_fill(best: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each metric that was taken under several fills."""
    names = dict.fromkeys(name.partition("@")[0] for name in best)
    for base in names:
        under = {name: best[name] for name in best if name.partition("@")[0] == base}
        if len(under) < 2:
            continue
        if len(set(under.values())) == 1:
            winner = next(iter(under.values()))
            yield f"`{base}`: `{winner}` is best under each of {len(under)} fills."
        else:
            each = ", ".join(f"`{one}` by `{name}`" for name, one in under.items())
            yield f"`{base}`: which method is best depends on the fill: {each}."


def _ranked(ranks: Ranks) -> str:
    order = sorted(ranks.mean.items(), key=lambda item: item[1])
    text = f"Mean rank over {len(ranks.metrics)} metrics: "
    text += ", ".join(f"`{name}` {value:.2f}" for name, value in order)
    if math.isnan(ranks.mean_agreement):
        return f"{text}."
    text += f"; the metrics agree by a Kendall tau of {ranks.mean_agreement:.2f} on average"
    lowest = min(
        (pair for pair, tau in ranks.agreement.items() if not math.isnan(tau)),
        key=lambda pair: ranks.agreement[pair],
    )
    return f"{text}, least `{lowest[0]}` and `{lowest[1]}` ({ranks.agreement[lowest]:.2f})."
