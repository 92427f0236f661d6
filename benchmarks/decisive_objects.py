"""Localisation where the object decides: `python benchmarks/decisive_objects.py --comparison OUT`.

The classifier often names the background of an object. The object decides where blurring it out
halves the probability of the predicted class; there a map of the evidence has to be on the object.
Splits the records of a finished comparison on images with masks, as that of
configs/compare_objects.yaml, and prints energy and pointing game of each method on either part, with
95 % intervals, and the paired differences to a baseline where the object decides. Writes
decisive_objects.json to the folder of the comparison.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from explainers.commands.compare import load_comparison
from explainers.evaluation.paired import differences_to
from explainers.evaluation.records import Row, annotate, read_records
from explainers.images.pixel_removal import blur, delete

METRICS = ("energy_pointing", "pointing")


@torch.no_grad()
def decided(config: Path, folder: Path, share: float) -> set[str]:
    """Keys of the images whose class keeps less than a share of its probability without the object."""
    comparison = load_comparison(config, [], folder)
    classifier = comparison.evaluator.classifier
    keys: set[str] = set()
    for batch in comparison.batches:
        images = batch["image"]
        before, target = classifier(images).softmax(dim=1).max(dim=1)
        left = classifier(delete(images, batch["mask"].float(), blur)).softmax(dim=1)
        fell = left.gather(1, target[:, None])[:, 0] < share * before
        keys |= {key for key, one in zip(batch["key"], fell, strict=True) if one}
    return keys


def scored(records: Sequence[Row]) -> list[Row]:
    """Each method's means, with intervals."""
    rows = []
    for name in dict.fromkeys(record["explainer"] for record in records):
        own = [record for record in records if record["explainer"] == name]
        means = {
            one: float(torch.tensor([record[one] for record in own]).nanmean()) for one in METRICS
        }
        rows.append(annotate({"explainer": name, "images": len(own)} | means, own))
    return rows


def main() -> None:
    """Split, print and write."""
    parser = argparse.ArgumentParser(description="localisation where the object decides")
    parser.add_argument("--config", type=Path, default=Path("configs/compare_objects.yaml"))
    parser.add_argument("--comparison", type=Path, required=True, help="its finished results")
    parser.add_argument("--share", type=float, default=0.5, help="of the probability that is left")
    parser.add_argument("--baseline", default="grad_cam")
    options = parser.parse_args()
    records = read_records(options.comparison / "records.csv")
    keys = decided(options.config, options.comparison, options.share)
    result = {}
    for name, chosen in (("object decides", True), ("object does not", False)):
        part = [record for record in records if (record["key"] in keys) == chosen]
        rows = scored(part)
        result[name] = {
            "rows": rows,
            "differences": differences_to(options.baseline, rows, part, METRICS),
        }
        print(f"\n{name}")
        for row in rows:
            cells = [
                f"{metric} {row[metric]:.1f} [{row[f'{metric}_interval'][0]:.1f}, "
                f"{row[f'{metric}_interval'][1]:.1f}]"
                for metric in METRICS
            ]
            print(f"  {row['explainer']} ({row['images']} images): {', '.join(cells)}")
    print(f"\nless {options.baseline}, where the object decides")
    for difference in result["object decides"]["differences"]:
        cells = [
            f"{metric} {difference[metric]['difference']:+.1f} "
            f"[{difference[metric]['interval'][0]:.1f}, {difference[metric]['interval'][1]:.1f}]"
            for metric in METRICS
            if metric in difference
        ]
        print(f"  {difference['explainer']}: {', '.join(cells)}")
    (options.comparison / "decisive_objects.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
