"""League table of learned explainers: `python benchmarks/league.py --config configs/league_scenes.yaml`.

Trains every family of the config on the same images, batches and steps, with several seeds, and
scores them beside their untrained starts, other methods and uninformative baselines. All metrics
of two comparisons (the data, and mosaics of them), the correlation of a map with exact Shapley
values of 3 x 3 patches, passes and seconds are in one table, with the mean rank; a second one has
the paired differences of each family to the start of its first seed, or to the config's `baseline`,
with 95 % intervals. `--config configs/league_ptame_plus.yaml` is the ablation of PTAMEPlus.

`--growth 100 1000 10000` trains seed 0 of each family on so many images instead, and prints how its
metrics grow. Whatever is done is kept, in folders named by its settings: run the same command again
to go on, or one with other settings, which takes what has the same. Writes league.json and league.md,
or growth.json and growth.md, to the folder. Needs `pip install -e ".[dev]"`. An hour and a half on 2
cores; `--families`, `--steps` and `--seeds` make it shorter.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from scenes.classifier import trained as trained_classifier
from scenes.folders import folder_of
from scenes.known_answers import areas, drops_of_own_masks
from scenes.shapley_agreement import agreements
from scenes.tables import growth_table, league_table, write
from scenes.training_passes import passes_of

from datamodules import ImageDataModule
from explainers import FrozenClassifier
from explainers.commands.compare import build_comparison
from explainers.commands.comparison_config import ComparisonConfig
from explainers.commands.paired_fits import trained
from explainers.from_config import build
from explainers.report.comparison_files import write_comparison
from explainers.training.masked_surrogate import MaskedSurrogate
from explainers.training.surrogate_training import train_surrogate

Config = dict[str, Any]


class Fit(NamedTuple):
    """Bundles of a fit: of what was trained, and of what it started from."""

    bundle: str
    start: str


def fitted(
    name: str, family: Config, data: Config, trainer: Config, seed: int, folder: Path
) -> Fit:
    """The bundles of a fit of a family, which is run, or resumed, unless they are there."""
    fit: Config = {
        "seed_everything": seed,
        "metrics": ["average_drop"],
        "model": family,
        "data": data,
        "trainer": trainer
        | {
            "max_epochs": 1,
            "devices": 1,
            "logger": False,
            "limit_val_batches": 0,
            "limit_test_batches": 1,
            "enable_model_summary": False,
        },
    }
    folder = folder_of(folder, name, fit)
    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "start"
    writer = {"class_path": "scenes.start_writer.StartWriter", "init_args": {"folder": str(start)}}
    fit["trainer"] |= {"default_root_dir": str(folder), "callbacks": [writer]}
    fit["bundle"] = str(folder / "bundle")
    return Fit(str(trained(fit, folder, ["python", "benchmarks/league.py"])), str(start))


def judge(classifier: FrozenClassifier, data: Config, settings: Config, output: Path) -> str:
    """The folder of a masked-input surrogate of the classifier."""
    surrogate = MaskedSurrogate(classifier, settings["cells"], settings["lr"])
    known = settings | {"classifier": classifier.fingerprint(), "data": data}
    images: ImageDataModule = build(data, ImageDataModule)
    folder = folder_of(output, "judge", known)
    return str(train_surrogate(surrogate, images, folder, settings["steps"], known))


def compared(config: ComparisonConfig, folder: Path, exact: int = 0) -> Config:
    """Results of a comparison, which goes on where it was stopped.

    Args:
        config: of the comparison.
        folder: of its results.
        exact: of how many images the maps are compared with exact Shapley values, too.
    """
    comparison = build_comparison(config, [], folder)
    found = write_comparison(comparison.run(), folder)
    found["shapley"] = agreements(comparison, exact, folder) if exact else {}
    if exact and "ScenesDataModule" in config.data["class_path"]:
        found["areas"] = areas(comparison)
        found["own_masks"] = drops_of_own_masks(comparison.evaluator.classifier, comparison.batches)
    return found


def with_length(data: Config, length: int | None) -> Config:
    """A description of data, of which training sees so many images."""
    return data if length is None else data | {"init_args": data["init_args"] | {"length": length}}


def league(config: Config, output: Path, growth: list[int]) -> None:
    """Train, score, and write the tables.

    Args:
        config: as configs/league_scenes.yaml.
        output: folder of all that is made.
        growth: numbers of training images; empty for the league.
    """
    told: Config = {"steps": config["steps"], "baseline": config.get("baseline")}
    source = config["classifier"]
    if source == "scenes":
        folder = trained_classifier(output, config.get("classifier_images", 12_000))
        told["classifier"] = json.loads((folder / "accuracy.json").read_text())
        source = {"model": f"local-dir:{folder.resolve()}", "activation": "sigmoid"}
    source = source if isinstance(source, dict) else {"model": source}
    classifier = FrozenClassifier.of(source)
    batch = config["data"]["init_args"]["batch_size"]
    told |= {"images": batch * config["steps"], "distinct": {}}
    data = config["data"] | {
        "init_args": config["data"]["init_args"] | {"samples_per_epoch": told["images"]}
    }
    methods: Config = {}
    passes = {}
    for name, given in config["families"].items():
        arguments = {"classifier": source} | (given.get("init_args") or {})
        if arguments.get("auxiliary") == "classifier":
            arguments["auxiliary"] = source
        if "teacher" in arguments:
            arguments["teacher_maps"] = str(output / "teacher_maps")
        family = {"class_path": given["class_path"], "init_args": arguments}
        passes[name] = passes_of(family)
        known = given.get("length") or config["data"]["init_args"].get("length") or told["images"]
        told["distinct"][name] = growth or min(known, told["images"])
        for length in growth or [given.get("length")]:
            shown = with_length(data, length)
            fits = [
                fitted(name, family, shown, config.get("trainer", {}), seed, output / "fits")
                for seed in range(1 if growth else config["seeds"])
            ]
            row = f"{name}_{length}" if growth else name
            methods[row] = {"seeds": [fit.bundle for fit in fits]}
            methods[f"{name}_untrained"] = {"seeds": [fits[0].start]}
    settings: Config = {
        "classifier": source,
        "methods": methods if growth else methods | config["others"],
        "judge": judge(classifier, data, config["judge"], output) if config["judge"] else None,
        "panel_images": 8,
    }
    kind = "growth" if growth else "league"
    whole = ComparisonConfig(data=config["data"], metrics=config["metrics"], **settings)
    results = compared(whole, output / kind, 0 if growth else config["exact_shapley"])
    pointed: Config = {"rows": []}
    if config.get("mosaics"):
        grids = ComparisonConfig(data=config["mosaics"], metrics=["grid_pointing"], **settings)
        pointed = compared(grids, output / f"{kind}_grids")
    told |= {name: results[name] for name in ("areas", "own_masks") if name in results}
    make = growth_table if growth else league_table
    write(make(results, pointed, passes, told, output / kind), told, output, kind)


def main() -> None:
    """Read the config and the options that replace parts of it."""
    parser = argparse.ArgumentParser(description="league of learned explainers")
    parser.add_argument("--config", type=Path, default=Path("configs/league_scenes.yaml"))
    parser.add_argument("--output", type=Path, default=Path("league"))
    parser.add_argument("--families", nargs="*", help="of those of the config")
    parser.add_argument("--others", nargs="*", help="of those of the config")
    parser.add_argument("--growth", type=int, nargs="*", default=[])
    for name in ("steps", "seeds", "exact-shapley", "classifier-images", "judge-steps"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--held-out", type=int, help="images that are scored, and no mosaics")
    options = parser.parse_args()
    config = yaml.safe_load(options.config.read_text())
    for kind in ("families", "others"):
        if (chosen := getattr(options, kind)) is not None:
            if unknown := [name for name in chosen if name not in config[kind]]:
                known = ", ".join(config[kind])
                parser.error(f"--{kind}: {options.config} has no {unknown[0]!r}, but {known}")
            config[kind] = {name: config[kind][name] for name in chosen}
    for name in ("steps", "seeds", "exact_shapley", "classifier_images"):
        if (value := getattr(options, name)) is not None:
            config[name] = value
    if options.judge_steps is not None:
        config["judge"]["steps"] = options.judge_steps
    if options.held_out is not None:
        config["data"]["init_args"]["held_out"] = options.held_out
        config["mosaics"] = None
    league(config, options.output, options.growth)


if __name__ == "__main__":
    main()
