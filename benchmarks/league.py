"""League table of learned explainers on drawn scenes: `python benchmarks/league.py --output FOLDER`.

Trains a classifier of drawn scenes (`scenes/classifier.py`), in which the right map of a class is
known, then every family of `scenes/families.py` on the same scenes, batches and steps, with several
seeds; and scores them beside their untrained starts, other methods and uninformative baselines, for
the class of the first object of held-out scenes. All metrics of two comparisons (scenes, and
mosaics of scenes of one object), the correlation of a map with exact Shapley values of 3 x 3
patches, passes and seconds are in one table, with the mean rank; a second one has the paired
differences of each family to its start, with 95 % intervals.

`--growth 100 1000 10000` trains seed 0 of each family on so many scenes instead, and prints how
its metrics grow. Whatever is done is kept: run the same command again to go on. Writes league.json
and league.md, or growth.md, to the folder. Needs `pip install -e ".[dev]"`. About an hour and a
half on 2 cores; `--families`, `--steps`, `--held-out` and `--seeds` make it shorter.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from scenes.classifier import trained as trained_classifier
from scenes.families import FAMILIES, OTHERS, described, passes_of
from scenes.shapley_agreement import agreements
from scenes.tables import growth_table, league_table, write

from datamodules import ScenesDataModule
from explainers import FrozenClassifier
from explainers.commands.compare import build_comparison
from explainers.commands.comparison_config import ComparisonConfig
from explainers.commands.paired_fits import trained
from explainers.report.comparison_files import write_comparison
from explainers.training.masked_surrogate import MaskedSurrogate
from explainers.training.surrogate_training import train_surrogate

SHARES = ("", "_50", "_15")
METRICS = [
    *(f"average_drop{share}" for share in SHARES),
    *(f"average_increase{share}" for share in SHARES),
    "average_gain",
    "insertion",
    "deletion",
    "evalx_probability_15",
    "evalx_probability_50",
    "energy_pointing",
    "pointing",
    "box_iou",
]
BATCH = 32
CELL = 64  # pixels of a scene, and of a cell of a mosaic


def data(options: argparse.Namespace, length: int, objects: list[int]) -> Any:  # noqa: ANN401
    """A datamodule of scenes, as configs describe one."""
    arguments = {
        "length": length,
        "held_out": options.held_out,
        "size": CELL,
        "objects": objects,
        "batch_size": BATCH,
        "num_workers": 1,
        "samples_per_epoch": BATCH * options.steps,
    }
    return {"class_path": "datamodules.ScenesDataModule", "init_args": arguments}


def fitted(
    name: str, source: dict[str, Any], scenes: dict[str, Any], seed: int, folder: Path
) -> str:
    """The bundle of a fit of a family, which is run, or resumed, unless it is there."""
    model = described(name, source)
    trainer = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "limit_val_batches": 0,
        "limit_test_batches": 1,
        "gradient_clip_val": 1.0,
        "enable_model_summary": False,
        "default_root_dir": str(folder),
    }
    fit = {
        "seed_everything": seed,
        "bundle": str(folder / "bundle"),
        "metrics": ["average_drop"],
        "model": model | {"init_args": {"classifier": source} | model["init_args"]},
        "data": scenes,
        "trainer": trainer,
    }
    folder.mkdir(parents=True, exist_ok=True)
    return str(trained(fit, folder, ["python", "benchmarks/league.py"]))


def judge(classifier: FrozenClassifier, options: argparse.Namespace, folder: Path) -> str:
    """The folder of a masked-input surrogate of the classifier."""
    scenes = ScenesDataModule(10_000, 100, batch_size=BATCH, num_workers=1)
    settings = {"steps": options.judge_steps, "classifier": classifier.fingerprint()}
    surrogate = MaskedSurrogate(classifier, cells=8, lr=1e-3)
    return str(train_surrogate(surrogate, scenes, folder, options.judge_steps, settings))


def compared(config: ComparisonConfig, folder: Path, values: bool, count: int) -> dict[str, Any]:
    """Results of a comparison, which goes on where it was stopped.

    Args:
        config: of the comparison.
        folder: of its results.
        values: compare the maps with exact Shapley values, too.
        count: of how many images.
    """
    comparison = build_comparison(config, [], folder)
    found = write_comparison(comparison.run(), folder)
    if values:
        found["shapley"] = agreements(comparison, count, folder / "shapley.json")
    return found


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description="league of learned explainers on drawn scenes")
    parser.add_argument("--output", type=Path, default=Path("league"))
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--others", nargs="*", default=list(OTHERS), choices=list(OTHERS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--images", type=int, default=10_000, help="scenes that training sees")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=100, help="scenes that are scored")
    parser.add_argument("--mosaics", type=int, default=25, help="of scenes; 0 leaves them out")
    parser.add_argument("--shapley", type=int, default=30, help="of these, with exact values")
    parser.add_argument("--judge-steps", type=int, default=600)
    parser.add_argument("--classifier-images", type=int, default=12_000)
    parser.add_argument("--growth", type=int, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(2)
    output: Path = options.output
    folder = trained_classifier(output / "classifier", options.classifier_images)
    source = {"model": f"local-dir:{folder.resolve()}", "activation": "sigmoid"}
    classifier = FrozenClassifier.of(source)
    methods: dict[str, Any] = {}
    lengths = options.growth or [options.images]
    for name in options.families:
        for length in lengths:
            seeds = range(1 if options.growth else options.seeds)
            bundles = [
                fitted(
                    name,
                    source,
                    data(options, length, [1, 3]),
                    seed,
                    output / "fits" / f"{name}-{length}-{options.steps}-{seed}",
                )
                for seed in seeds
            ]
            methods[f"{name}_{length}" if options.growth else name] = {"seeds": bundles}
        methods[f"{name}_untrained"] = described(name, source)
    methods |= {name: OTHERS[name] for name in options.others if not options.growth}
    settings: dict[str, Any] = {
        "classifier": source,
        "methods": methods,
        "judge": judge(classifier, options, output / "judge"),
        "panel_images": 8,
    }
    torch.manual_seed(0)  # of untrained heads
    whole = data(options, options.images, [1, 3])
    scenes = ComparisonConfig(data=whole, metrics=METRICS, **settings)
    kind = "growth" if options.growth else "league"
    results = compared(scenes, output / kind, not options.growth, options.shapley)
    pointed: dict[str, Any] = {"rows": []}
    if options.mosaics:
        arguments = {"data": data(options, options.images, [1, 1]), "size": 2 * CELL}
        arguments |= {"length": options.mosaics, "batch_size": BATCH}
        mosaics: Any = {"class_path": "datamodules.GridsDataModule", "init_args": arguments}
        torch.manual_seed(0)
        grids = ComparisonConfig(data=mosaics, metrics=["grid_pointing"], **settings)
        pointed = compared(grids, output / f"{kind}_grids", False, 0)
    passes = {name: passes_of(name, source) for name in options.families}
    accuracy = json.loads((folder / "accuracy.json").read_text())
    told = {"steps": options.steps, "batch": BATCH, "images": lengths, "accuracy": accuracy}
    make = growth_table if options.growth else league_table
    table = make(results, pointed, passes, told, output / kind)
    write(table, told, output, kind)


if __name__ == "__main__":
    main()
