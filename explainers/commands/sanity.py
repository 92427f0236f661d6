"""`explainers sanity`: retrained randomisation of a learned explainer."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from datamodules import ImageDataModule
from datamodules.samples.order import evenly_spread
from explainers.base import Explainer
from explainers.bundle.loading import load_explainer
from explainers.classifier import FrozenClassifier
from explainers.classifier.serialisation import LAST_SEED
from explainers.commands.options.sanity import BOUND
from explainers.commands.paired_fits import (
    fit_configs,
    read_training,
    require_same_settings,
    trained,
)
from explainers.durable_files import write_aside
from explainers.errors import InputError
from explainers.evaluation.comparison_results import Pictured
from explainers.evaluation.head_agreement import (
    RULE,
    SIMILARITIES,
    agreement,
    passes,
    similarity_records,
)
from explainers.evaluation.records import Row, as_json, write_records
from explainers.from_config import build
from explainers.images.labelled_maps import LabelledMap
from explainers.images.normalisation import min_max
from explainers.report.panel import write_panel
from explainers.report.table import table
from explainers.training.bundle_files import read_config

PICTURED = 4


def run(arguments: argparse.Namespace) -> int:
    """Train the heads, compare their maps, and write the verdict; 0 whatever it is."""
    words = ["explainers", "sanity", "--config", str(arguments.config)]
    words += ["--output", str(arguments.output)]
    words += ["--bound", str(arguments.bound)] if arguments.bound != BOUND else []
    words += ["--seed", str(arguments.seed)] if arguments.seed else []
    words += ["--reference"] if arguments.reference else []
    try:
        return _run(arguments, words)
    except (KeyboardInterrupt, SystemExit) as error:
        # Lightning exits with 1 on a Ctrl-C outside of training.
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
            print(f"\ninterrupted; go on with {shlex.join(words)}", file=sys.stderr)
            raise KeyboardInterrupt from None
        raise


def _run(arguments: argparse.Namespace, words: list[str]) -> int:
    output: Path = arguments.output
    _require_options(arguments)
    config = read_training(arguments.config)
    data: ImageDataModule = build(config["data"], ImageDataModule)
    data.setup("test")
    pictured = data.test_images(1)[:, :1]
    similarity_records(pictured, pictured, {})  # refuses images that are too small for SSIM
    fits = fit_configs(config, output, arguments.seed, arguments.reference)
    network = FrozenClassifier.of(fits["true"]["model"]["init_args"]["classifier"])
    settings = {
        "config": {name: value for name, value in config.items() if name != "bundle"},
        "seed": arguments.seed,
        "sha256 of the classifier": network.fingerprint(),
    }
    del network
    require_same_settings(output, settings, list(fits))
    bundles = {name: trained(fit, output / name, words) for name, fit in fits.items()}
    heads: dict[str, Explainer] = {name: load_explainer(path) for name, path in bundles.items()}
    records, pictures = _compared(heads, data, _device(config))
    rows = {name: agreement(records[name]) for name in records}
    verdict = "pass" if passes(rows["randomised"], arguments.bound) else "fail"
    described = {name: read_config(path / "config.json") for name, path in bundles.items()}
    result = {
        "verdict": verdict,
        "rule": RULE,
        "bound": arguments.bound,
        "target": "the class that the true classifier predicts",
        "similarity_to_true": rows,
        "images": rows["randomised"]["images"],
        "seeds": {
            "weights": arguments.seed,
            "training": {name: fit["seed_everything"] for name, fit in fits.items()},
        },
        "heads": {
            name: {
                "class": one["class"],
                "hyperparameters": one["hyperparameters"],
                "fingerprints": one["fingerprints"],
                "scores": one["scores"][:1],
            }
            for name, one in described.items()
        },
        "config": settings["config"],
        "versions": described["true"]["versions"],
    }
    write_records(
        [{"head": name} | record for name in records for record in records[name]],
        output / "records.csv",
    )
    write_panel(pictures, output / "panel.png")
    write_aside(output / "sanity.json", json.dumps(as_json(result), indent=2).encode())
    print(f"\n{table([{'explainer': name} | _figures(row) for name, row in rows.items()])}")
    for name, row in rows.items():
        print(f"\nsimilarity to the head of the true classifier, {name}: {_in_words(row)}")
    print(f"\n{verdict}: {RULE}, {arguments.bound:g}")
    print(f"\nwrote {output / 'sanity.json'}; look at {output / 'panel.png'}")
    return 0


def _require_options(arguments: argparse.Namespace) -> None:
    if arguments.output.is_file():
        raise InputError(f"--output {arguments.output} is a file; name a folder")
    if not 0 < arguments.bound <= 1:
        raise InputError(f"--bound must be above 0 and at most 1, got {arguments.bound:g}")
    if not 0 <= arguments.seed <= LAST_SEED:
        raise InputError(f"--seed must be 0 to {LAST_SEED}, got {arguments.seed}")


def _device(config: Mapping[str, Any]) -> torch.device:
    """The accelerator that there is, unless the config trains on the CPU."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    on_cpu = (config.get("trainer") or {}).get("accelerator") == "cpu"
    return torch.device("cpu") if found is None or on_cpu else found


def _compared(
    heads: Mapping[str, Explainer], data: ImageDataModule, device: torch.device
) -> tuple[dict[str, list[Row]], list[Pictured]]:
    """Similarities to the maps of the true head by the other heads, and a few pictures.

    All heads explain the class that the true classifier predicts.
    """
    for head in heads.values():
        head.to(device)
    others = [name for name in heads if name != "true"]
    records: dict[str, list[Row]] = {name: [] for name in others}
    pictures: list[Pictured] = []
    names = heads["true"].classifier.class_names
    shown = set(evenly_spread(PICTURED, len(data.test_set)))  # type: ignore[arg-type]
    position = 0
    for batch in tqdm(data.test_dataloader(), desc="comparing", unit="batch"):
        images: Tensor = batch["image"].to(device)
        if not len(images):  # none of them could be read
            continue
        target = heads["true"].resolve_target(images, None)
        maps = {
            name: head.to_maps(head(images, target).detach()).cpu() for name, head in heads.items()
        }
        keys = batch.get("key") or [str(position + index) for index in range(len(images))]
        parts = {"key": keys, "target": target.tolist()}
        parts |= {"group": batch["group"]} if "group" in batch else {}
        for name in others:
            records[name] += similarity_records(maps["true"], maps[name], parts)
        for index in sorted(shown & set(range(position, position + len(images)))):
            at = index - position
            image, caption = images[at].cpu(), names[int(target[at])]
            drawn = {
                name: LabelledMap(
                    image, min_max(one[at : at + 1])[0], one[at], caption, method=name
                )
                for name, one in maps.items()
            }
            pictures.append(Pictured(keys[at], image, drawn))
        position += len(images)
    if not position:
        raise InputError("no image of the test split could be read; name images under data")
    return records, pictures


def _figures(row: Row) -> Row:
    return {name: row[name] for name in SIMILARITIES}


def _in_words(row: Row) -> str:
    texts = []
    for name in SIMILARITIES:
        low, high = row[f"{name}_interval"]
        missing = row.get("undefined", {}).get(name)
        left_out = f", undefined for {missing}" if missing else ""
        texts.append(f"{name.replace('_', ' ')} {row[name]:.2f} [{low:.2f}, {high:.2f}]{left_out}")
    return f"{'; '.join(texts)}; {row['images']} images"
