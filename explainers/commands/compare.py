"""`explainers compare`: methods times metrics on one data set."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Subset

from datamodules import ImageDataModule
from datamodules.samples.order import evenly_spread
from explainers.base import Explainer
from explainers.bundle.loading import load_explainer
from explainers.bundle.training_record import training_of
from explainers.classifier import FrozenClassifier
from explainers.classifier.weight_files import fingerprint
from explainers.commands.chosen_images import choose_images
from explainers.commands.comparison_config import ComparisonConfig, config_of
from explainers.commands.option_values import named_path
from explainers.commands.row_names import bundle_names, require_distinct_rows
from explainers.errors import InputError, require_known
from explainers.evaluation.comparison import Comparison
from explainers.evaluation.costs import NO_TRAINING, Training
from explainers.evaluation.evaluator import Batch, Evaluator, Method
from explainers.evaluation.metric_fills import under_fills
from explainers.evaluation.retrieval import NearestOthers
from explainers.evaluation.seeds import member_name
from explainers.evaluation.uninformative import UNINFORMATIVE, uninformative_methods
from explainers.from_config import build, resolve
from explainers.report.comparison_files import in_words, write_comparison
from explainers.training.bundle_files import bundle_folder, read_config
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masked_surrogate import load_surrogate

FILL_NAMED = "black (pixel value 0), or what stands after @ in the name of the metric"


def run(arguments: argparse.Namespace) -> int:
    """Score the methods and print the table; 2 if one failed on an image."""
    output = output_folder(arguments.output)
    return score(config_of(arguments), arguments.checkpoint, output)


def output_folder(name: str) -> Path:
    """The folder of the results, which need not be there; InputError if it can be none."""
    try:
        output = named_path(name)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"--output: {error}") from error
    if output.is_file():
        raise InputError(f"--output {output} is a file; name a folder")
    return output


def score(config: ComparisonConfig, bundles: Sequence[str], output: Path) -> int:
    """Score the methods, write and print the results; arguments as of `build_comparison`.

    Returns:
        0, or 2 if a method failed on an image.
    """
    comparison = build_comparison(config, bundles, output)
    if images := comparison.protocol.get("images"):
        print(images)
    results = comparison.run()
    if not any(row["images"] or row["failed"] for row in results.rows):
        raise InputError("no image of the test split could be read; name images under data")
    found, rows = write_comparison(results, output), results.rows
    print(f"\n{in_words(found)}")
    if results.references:
        low, high = results.references["accuracy_interval"]
        print(
            "\nthe nearest reference is of the image's own class for "
            f"{results.references['accuracy']:.1f} % [{low:.1f}, {high:.1f}] of "
            f"{results.references['images']} images"
        )
    print(f"\nwrote {output}; look at {output / 'report.html'}")
    return 2 if any(row["failed"] for row in rows) else 0


def build_comparison(config: ComparisonConfig, bundles: Sequence[str], output: Path) -> Comparison:
    """Build the comparison of a config; the uninformative baselines are added to its methods.

    Args:
        config: classifier, data, methods and metrics.
        bundles: folders or hub names of trained explainers of that classifier, to compare too.
        output: folder of the results.

    Raises:
        InputError: something in the config cannot be built.
    """
    resolve(config.data["class_path"], ImageDataModule)
    given: dict[str, Any] = dict(config.methods)  # of classes, or of several trainings
    described = {name: one for name, one in given.items() if "class_path" in one}
    for description in described.values():
        resolve(description["class_path"], Explainer)
    for name, one in given.items():
        if name not in described and not one["seeds"]:
            raise InputError(f"seeds of {name} must be a list of bundles, got []")
    names = bundle_names(bundles)
    require_distinct_rows([*names, *config.methods])
    if config.baseline is not None:
        require_known(
            "row for baseline", config.baseline, [*names, *config.methods, *UNINFORMATIVE]
        )
    metrics = under_fills(config.metrics, config.fills) if config.fills else config.metrics
    classifier = FrozenClassifier.of(config.classifier)
    data: ImageDataModule = build(config.data, ImageDataModule)
    choose_images(data, classifier)
    data.setup("test")
    if config.limit is not None:
        positions = evenly_spread(config.limit, len(data.test_set))  # type: ignore[arg-type]
        data.test_set = Subset(data.test_set, positions)
    batches = _with_references(data.test_dataloader(), classifier, config.references)
    explainers: dict[str, Explainer] = {}
    trainings: dict[str, Training] = {}
    for name, bundle in zip(names, bundles, strict=True):
        explainers[name] = _loaded(bundle, classifier)
        trainings[name] = training_of(bundle)
    seeds: dict[str, list[str]] = {}
    for name, description in given.items():
        if name in described:
            explainers[name] = build(description, Explainer, classifier=classifier)
            trainings[name] = _training(explainers[name])
            continue
        for index, bundle in enumerate(description["seeds"]):
            member = member_name(name, index)
            explainers[member] = _loaded(bundle, classifier)
            trainings[member] = training_of(bundle)
            seeds.setdefault(name, []).append(member)
    methods: dict[str, Method] = {name: explainer.eval() for name, explainer in explainers.items()}
    methods |= uninformative_methods()
    judge = load_surrogate(config.judge, classifier) if config.judge else None
    evaluator = Evaluator(
        classifier, methods, metrics, config.chunk_size, config.map_normalisation, judge
    )
    protocol = {
        **data.protocol,
        "data": config.data,
        **({"references": config.references} if config.references else {}),
        **({"limit": config.limit} if config.limit is not None else {}),
        "classifier": {"source": classifier.source, "sha256": classifier.fingerprint()},
        "metrics": metrics,
        **({"fill": FILL_NAMED} if config.fills else {}),
        **({"baseline": config.baseline} if config.baseline else {}),
        **({"judge": judge.fingerprint()} if judge else {}),
        "explainers": {
            name: {"class": type(explainer).__name__} | _plain(explainer)
            for name, explainer in explainers.items()
        },
    }
    pictured = evenly_spread(config.panel_images, len(data.test_set))  # type: ignore[arg-type]
    return Comparison(evaluator, methods, batches, protocol, output, pictured, trainings, seeds)


def _loaded(bundle: str, classifier: FrozenClassifier) -> LearnedExplainer:
    """A bundle of the classifier; InputError if it is of another one."""
    config = read_config(bundle_folder(bundle) / "config.json")
    if (config["fingerprints"] or {}).get("classifier", "") not in ("", classifier.fingerprint()):
        raise InputError(
            f"{bundle} explains another classifier than {classifier.name}, or other weights of it; "
            "name its own as --classifier, or leave the bundle out"
        )
    return load_explainer(bundle, classifier=classifier)


def _training(explainer: Explainer) -> Training:
    """Cost of the training of a described method: that of the bundle its weights come from."""
    bundle = explainer.hparams.get("init_from") if isinstance(explainer, LearnedExplainer) else None
    return training_of(bundle) if bundle else NO_TRAINING


def _with_references(
    loader: DataLoader[Batch], classifier: FrozenClassifier, references: str | None
) -> Iterable[Batch]:
    """The batches as they are, or each image with its nearest other one as reference."""
    return NearestOthers(loader, classifier.embed) if references else loader


def _plain(explainer: Explainer) -> dict[str, Any]:
    """An explainer's settings, and the fingerprint of all its weights, as plain values."""
    settings = {key: value for key, value in explainer.hparams.items() if key != "classifier"}
    return {"settings": settings, "sha256": fingerprint(explainer)}
