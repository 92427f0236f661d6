"""Building a comparison from its YAML file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from explainers.base import Explainer
from explainers.bundle.from_config import build, read_yaml
from explainers.bundle.loading import load_explainer
from explainers.bundle.training_record import training_of
from explainers.classifier import FrozenClassifier
from explainers.classifier.weight_files import fingerprint
from explainers.errors import InputError, require_known
from explainers.evaluation.comparison import Comparison
from explainers.evaluation.costs import NO_TRAINING, Training
from explainers.evaluation.evaluator import Batch, Evaluator, Method
from explainers.evaluation.retrieval import NearestOthers
from explainers.evaluation.uninformative import uninformative_methods
from explainers.training.learned_explainer import LearnedExplainer

KEYS = (
    "classifier",
    "data",
    "methods",
    "metrics",
    "chunk_size",
    "panel_images",
    "references",
    "map_normalisation",
)


def load_comparison(path: Path, bundles: Sequence[str], output: Path) -> Comparison:
    """Build what a YAML file describes; the trivial maps are added to its methods.

    Its keys: `classifier` (see `FrozenClassifier.of`), `data` and each of `methods` by name
    (`class_path` and `init_args`), `metrics`, and optionally `chunk_size`, `panel_images`, and
    `references: nearest`, which compares each image with the nearest other one by the classifier's
    embedding.

    Args:
        path: the file.
        bundles: folders or hub names of trained explainers of that classifier, to compare too.
        output: where the results go.

    Raises:
        InputError: the file cannot be read, or something in it cannot be built.
    """
    config = _read(path)
    classifier = FrozenClassifier.of(config["classifier"])
    data = build(config["data"])
    data.setup("test")
    batches = _with_references(data.test_dataloader(), classifier, config.get("references"))
    explainers: dict[str, Explainer] = {}
    trainings: dict[str, Training] = {}
    for bundle in bundles:
        explainers[Path(bundle).name] = load_explainer(bundle, classifier=classifier)
        trainings[Path(bundle).name] = training_of(bundle)
    for name, description in config["methods"].items():
        explainers[name] = build(description, classifier=classifier)
    trainings |= {name: _training(explainers[name]) for name in config["methods"]}
    methods: dict[str, Method] = {name: explainer.eval() for name, explainer in explainers.items()}
    methods |= uninformative_methods()
    evaluator = Evaluator(
        classifier,
        methods,
        config["metrics"],
        config.get("chunk_size", 64),
        config.get("map_normalisation", "minmax"),
    )
    protocol = {
        "data": config["data"],
        **({"references": config["references"]} if "references" in config else {}),
        "classifier": {"source": classifier.source, "sha256": classifier.fingerprint()},
        "metrics": config["metrics"],
        "explainers": {
            name: {"class": type(explainer).__name__} | _plain(explainer)
            for name, explainer in explainers.items()
        },
    }
    shown = config.get("panel_images", 6)
    return Comparison(evaluator, methods, batches, protocol, output, shown, trainings)


def _training(explainer: Explainer) -> Training:
    """What it took to train what a config describes: that of the bundle it takes its weights from."""
    bundle = explainer.hparams.get("init_from") if isinstance(explainer, LearnedExplainer) else None
    return training_of(bundle) if bundle else NO_TRAINING


def _with_references(
    loader: DataLoader[Batch], classifier: FrozenClassifier, references: str | None
) -> Iterable[Batch]:
    """The batches as they are, or with the references that a config asks for."""
    if references is None:
        return loader
    if references != "nearest":
        raise InputError(f"references must be nearest, or left out, got {references!r}")
    return NearestOthers(loader, classifier.embed)


def _read(path: Path) -> dict[str, Any]:
    config = read_yaml(path)
    for key in config:
        require_known(f"key of {path}", key, KEYS)
    for key in KEYS[:4]:
        if key not in config:
            raise InputError(f"{path} lacks {key!r}")
    return config


def _plain(explainer: Explainer) -> dict[str, Any]:
    """An explainer's settings, and the fingerprint of all its weights, as plain values."""
    settings = {key: value for key, value in explainer.hparams.items() if key != "classifier"}
    return {"settings": settings, "sha256": fingerprint(explainer)}
