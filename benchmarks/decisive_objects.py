"""Localisation where the object decides: `python benchmarks/decisive_objects.py --config …`.

The classifier often names the background of an object. The object decides where blurring it out
halves the probability of the predicted class; there a map of the evidence has to be on the object.
Runs a comparison on images with masks, or takes it from OUT where `explainers compare` has run it,
and prints energy and pointing game of each method on either part, with 95 % intervals, and the
paired differences to a baseline. Writes decisive_objects.json to OUT. Minutes on 2 cores, and for
Opti-CAM hours: `--methods` takes some of those of the config.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from explainers import FrozenClassifier
from explainers.commands.compare import build_comparison
from explainers.commands.comparison_config import ComparisonParser, config_of
from explainers.commands.options.compare import add_arguments
from explainers.evaluation.paired import differences_to
from explainers.evaluation.records import Row, annotate
from explainers.images.pixel_removal import blur, delete
from explainers.report.comparison_files import write_comparison

METRICS = ("energy_pointing", "pointing")


@torch.no_grad()
def decided(classifier: FrozenClassifier, batches: Iterable[dict[str, Any]]) -> set[str]:
    """Keys of the images whose class keeps less than half of its probability without the object."""
    keys: set[str] = set()
    for batch in batches:
        before, target = classifier(batch["image"]).softmax(dim=1).max(dim=1)
        left = classifier(delete(batch["image"], batch["mask"].float(), blur)).softmax(dim=1)
        fell = left.gather(1, target[:, None])[:, 0] < before / 2
        keys |= {key for key, one in zip(batch["key"], fell, strict=True) if one}
    return keys


def scored(records: Sequence[Row], baseline: str) -> dict[str, list[Row]]:
    """Each method's means with intervals, and their differences to the baseline's."""
    rows = []
    for name in dict.fromkeys(record["explainer"] for record in records):
        own = [record for record in records if record["explainer"] == name]
        values = {one: torch.tensor([record[one] for record in own]) for one in METRICS}
        means = {one: float(each.nanmean()) for one, each in values.items()}
        rows.append(annotate({"explainer": name, "images": len(own)} | means, own))
    return {"rows": rows, "differences": differences_to(baseline, rows, records, METRICS)}


def in_words(part: dict[str, list[Row]]) -> str:
    """A line a method."""
    differences = {row["explainer"]: row for row in part["differences"]}
    lines = []
    for row in part["rows"]:
        cells = []
        for metric in METRICS:
            low, high = row[f"{metric}_interval"]
            text = f"{metric} {row[metric]:.1f} [{low:.1f}, {high:.1f}]"
            if (other := differences.get(row["explainer"], {}).get(metric)) is not None:
                low, high = other["interval"]
                text += f", {other['difference']:+.1f} [{low:.1f}, {high:.1f}]"
            cells.append(text)
        lines.append(f"  {row['explainer']}: {'; '.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    """Compare, split, print and write."""
    parser = ComparisonParser(prog="localisation where the object decides")
    add_arguments(parser)
    parser.set_defaults(baseline="grad_cam")
    options = argparse.Namespace(**vars(parser.parse_args()))
    output = Path(options.output)
    config = config_of(options)
    config = replace(config, metrics=list(dict.fromkeys([*config.metrics, *METRICS])))
    comparison = build_comparison(config, options.checkpoint, output)
    results = comparison.run()
    write_comparison(results, output)
    keys = decided(comparison.evaluator.classifier, comparison.batches)
    found = {}
    for name, chosen in (("the object decides", True), ("the object does not decide", False)):
        part = [record for record in results.records if (record["key"] in keys) == chosen]
        found[name] = scored(part, options.baseline)
        images = found[name]["rows"][0]["images"] if part else 0
        print(f"\n{name} ({images} images); less {options.baseline}\n{in_words(found[name])}")
    (output / "decisive_objects.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
