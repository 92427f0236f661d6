"""Conclusions of a comparison: verdicts in words, ranks, and differences to one method."""

from collections.abc import Sequence

from explainers.evaluation.comparison_results import Results
from explainers.evaluation.paired import differences_to
from explainers.evaluation.ranks import rank
from explainers.evaluation.records import Row
from explainers.report.headline import headline
from explainers.report.summary import higher_is_better, is_uninformative, metrics_of
from explainers.report.verdicts import verdicts

BEYOND = "beyond chance, not corrected for their number"


def with_conclusions(results: Results) -> Row:
    """The plain content of results.json: what a comparison found, and what follows from it.

    Beside `protocol` and `rows`, of which those of methods get `mean_rank`: `headline` and
    `verdicts`, sentences in Markdown; `ranks`, with the metrics ranked by and Kendall's tau-b of each pair of them; and
    `differences` to the baseline that the protocol names, if it does.
    """
    metrics = metrics_of(results.rows)
    directions = {
        name: higher for name in metrics if (higher := higher_is_better(name)) is not None
    }
    methods = [row for row in results.rows if not is_uninformative(row)]
    baselines = [row for row in results.rows if is_uninformative(row)]
    ranks = rank(methods, directions)
    mean = {} if ranks is None else ranks.mean
    found: Row = {
        "protocol": results.protocol,
        "headline": headline(methods, baselines, results.records, directions),
        "verdicts": verdicts(methods, baselines, results.records, directions, ranks),
        "rows": [
            row | {"mean_rank": mean[row["explainer"]]} if row["explainer"] in mean else row
            for row in results.rows
        ],
    }
    if ranks is not None:
        found["ranks"] = {
            "metrics": ranks.metrics,
            "kendall": [
                {"metrics": list(pair), "tau": tau} for pair, tau in ranks.agreement.items()
            ],
            "mean_kendall": ranks.mean_agreement,
        }
    if baseline := results.protocol.get("baseline"):
        found["differences"] = {
            "baseline": baseline,
            "rows": differences_to(baseline, results.rows, results.records, list(directions)),
        }
    if results.references is not None:
        found["references"] = results.references
    return found


def differences_table(differences: Row) -> str:
    """Differences to one method as a Markdown table; a star marks what is beyond chance."""
    rows: Sequence[Row] = differences["rows"]
    metrics = list(dict.fromkeys(name for row in rows for name in row if name != "explainer"))
    baseline = differences["baseline"]
    lines = [
        f"Paired differences to `{baseline}`, with 95 % bootstrap intervals; * {BEYOND}:",
        "",
        "| explainer | " + " | ".join(metrics) + " |",
        "|---|" + "---:|" * len(metrics),
    ]
    for row in rows:
        cells = [_cell(row.get(name)) for name in metrics]
        lines.append(f"| {row['explainer']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(one: Row | None) -> str:
    if one is None:
        return "-"
    low, high = one["interval"]
    star = " *" if one["beyond_chance"] else ""
    return f"{one['difference']:+.2f} [{low:.2f}, {high:.2f}]{star}"
