"""The tables of the league: scores, ranks, costs, and differences to untrained starts."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explainers.evaluation.paired import paired_difference
from explainers.evaluation.ranks import rank
from explainers.evaluation.records import Row, as_json, read_records
from explainers.report.summary import higher_is_better, is_uninformative

SHORT = {
    "average_drop": "AD",
    "average_drop_50": "AD50",
    "average_drop_15": "AD15",
    "average_increase": "AI",
    "average_increase_50": "AI50",
    "average_increase_15": "AI15",
    "average_gain": "AG",
    "average_drop@mean": "AD mean",
    "average_gain@mean": "AG mean",
    "insertion": "ins",
    "deletion": "del",
    "evalx_probability_15": "judge15",
    "evalx_probability_50": "judge50",
    "energy_pointing": "EPG",
    "pointing": "point",
    "box_iou": "IoU",
    "grid_pointing": "grid",
    "shapley": "Shapley r",
}
COSTS = ("map_area", "seconds_per_image", "training_seconds")
GROWING = ("average_drop", "average_gain", "insertion", "deletion", "energy_pointing")
COMPARED = (*GROWING, "grid_pointing")

Table = dict[str, Any]


def league_table(
    results: Row, grids: Row, passes: Mapping[str, Any], told: Row, folder: Path
) -> Table:
    """Rows of all methods, with mean ranks, and differences to a baseline or to untrained starts.

    Args:
        results: of the comparison on scenes, as `write_comparison` gives them, and `shapley`.
        grids: of that on mosaics.
        passes: of the classifier in a training step, by family.
        told: `images` seen in training, of these `distinct` by family, and perhaps a `baseline`.
        folder: of the records of the comparison on scenes; those on mosaics are beside it.
    """
    pointing = {row["explainer"]: row["grid_pointing"] for row in grids["rows"]}
    rows = []
    for row in results["rows"]:
        name = row["explainer"]
        kept = {key: row[key] for key in ("explainer", *SHORT, *COSTS) if key in row}
        kept |= {"grid_pointing": pointing.get(name), "shapley": results["shapley"].get(name)}
        if name in passes:
            seen, distinct = told["images"], told["distinct"][name]
            each = passes[name]
            kept["forward_passes"] = seen * each["forward"] + distinct * each["teacher"]
            kept["backward_passes"] = seen * each["backward"]
        rows.append(kept)
    methods = [row for row in rows if not is_uninformative(row)]
    directions = {name: _higher(name) for name in SHORT}
    ranks = rank(methods, directions)
    for row in methods:
        row["mean_rank"] = ranks.mean[row["explainer"]] if ranks else None
    rows.sort(key=lambda row: row.get("mean_rank") or math.inf)
    records = _records(folder)
    differences = []
    for name in passes:
        entry: Row = {"explainer": name}
        baseline = told.get("baseline") or f"{name}_untrained"
        for metric in COMPARED:
            one = paired_difference(records, name, baseline, metric)
            if one is not None:
                entry[metric] = [one.mean, one.low, one.high, one.beyond_chance]
        differences.append(entry)
    agreement = ranks.mean_agreement if ranks else math.nan
    return {"rows": rows, "differences": differences, "kendall": agreement}


def growth_table(
    results: Row, grids: Row, passes: Mapping[str, Any], told: Row, folder: Path
) -> Table:
    """Metrics of each family by the number of scenes; arguments as of `league_table`."""
    pointing = {row["explainer"]: row["grid_pointing"] for row in grids["rows"]}
    rows = [
        {key: row[key] for key in ("explainer", *GROWING)}
        | {"grid_pointing": pointing.get(row["explainer"])}
        for row in results["rows"]
        if not is_uninformative(row)
    ]
    return {"rows": sorted(rows, key=_family), "differences": []}


def write(table: Table, told: Row, output: Path, kind: str) -> None:
    """Write a table as JSON and Markdown, and print it."""
    (output / f"{kind}.json").write_text(json.dumps(as_json(table | told), indent=2) + "\n")
    less = told.get("baseline") or "untrained"
    text = "\n\n".join([_markdown(table["rows"]), *_differing(table["differences"], less)])
    (output / f"{kind}.md").write_text(text + "\n")
    print(text)


def _family(row: Row) -> tuple[str, int]:
    name, _, size = row["explainer"].rpartition("_")
    return name, int(size) if size.isdecimal() else 0


def _higher(name: str) -> bool:
    return True if name == "shapley" else bool(higher_is_better(name))


def _records(folder: Path) -> list[Row]:
    """Records of scenes and of mosaics; keys of one differ from those of the other."""
    files = (folder / "records.csv", folder.with_name(f"{folder.name}_grids") / "records.csv")
    return [record for path in files if path.is_file() for record in read_records(path)]


def _markdown(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "explainer"))
    lines = ["| explainer | " + " | ".join(SHORT.get(n, n.replace("_", " ")) for n in names) + " |"]
    lines.append("|---|" + "---:|" * len(names))
    for row in rows:
        cells = [_number(row.get(name)) for name in names]
        lines.append(f"| {row['explainer']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _differing(rows: Sequence[Row], less: str) -> list[str]:
    if not rows:
        return []
    lines = [f"Trained less {less}, 95 % intervals; * beyond chance:", ""]
    lines.append("| family | " + " | ".join(SHORT[name] for name in COMPARED) + " |")
    lines.append("|---|" + "---:|" * len(COMPARED))
    for row in rows:
        cells = []
        for name in COMPARED:
            if name not in row:
                cells.append("-")
                continue
            mean, low, high, clear = row[name]
            cells.append(f"{mean:+.1f} [{low:.1f}, {high:.1f}]{' *' if clear else ''}")
        lines.append(f"| {row['explainer']} | " + " | ".join(cells) + " |")
    return ["\n".join(lines)]


def _number(value: object) -> str:
    if not isinstance(value, int | float) or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
