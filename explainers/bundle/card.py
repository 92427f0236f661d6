"""The card of a bundle, made from its config.json: description, scores, training, citation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from explainers.bundle.frozen_sources import NETWORKS
from explainers.evaluation.costs import Training
from explainers.evaluation.records import BEFORE_TRAINING
from explainers.methods import METHODS
from explainers.report.table import table
from explainers.training.bundle_files import read_config

HEAD = ["license", "library_name", "tags", "base_model"]
"""The front matter, in the order in which it is written."""


def write_card(folder: str | Path, source: str | None = None) -> Path:
    """Write a bundle's README.md anew, from its config.json alone.

    Args:
        folder: the bundle.
        source: how the card tells users to load it; by default the folder, relative to the working
            folder if it is in there.

    Raises:
        InputError: there is no readable config.json.
    """
    folder = Path(folder)
    config = read_config(folder / "config.json")
    path = folder / "README.md"
    picture = (folder / "panel.png").is_file()
    path.write_text(card(folder.resolve().name, config, source or shown_folder(folder), picture))
    return path


def shown_folder(folder: Path) -> str:
    """A folder as commands name it: relative to the working folder if it is in there."""
    full = folder.resolve()
    return str(full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else full)


def card(name: str, config: dict[str, Any], source: str, picture: bool = True) -> str:
    """The text of a card, with the front matter that the hub reads.

    Args:
        name: of the bundle.
        config: the content of its config.json; parts that older bundles lack are left out.
        source: the bundle's folder, or its name on the hub, as commands name it.
        picture: whether the bundle has a panel.png.
    """
    method = METHODS.get(config["class"])
    source_of_classifier = config["hyperparameters"].get("classifier")
    if isinstance(source_of_classifier, dict):
        source_of_classifier = source_of_classifier.get("model")
    classifier = str(source_of_classifier)
    scores = config.get("scores") or []
    rows = [{k: float("nan") if v is None else v for k, v in row.items()} for row in scores]
    return template("card.md.j2").render(
        name=name,
        front_matter=_front_matter(config, classifier),
        kind=config["class"],
        title=method.title if method else "",
        papers=method.papers if method else (),
        classifier=classifier,
        picture=picture,
        source=source,
        own_modules=_own_modules(config["hyperparameters"]),
        scores=table(rows, config.get("protocol")) if rows else "",
        baselines=len(rows) > 1,
        before=any(row.get("explainer") == BEFORE_TRAINING for row in rows),
        protocol=config.get("protocol", {}),
        training=_training(config.get("training", {})),
        versions=config.get("versions", {}),
        license=config.get("license", "licence not recorded"),
        fingerprints=config["fingerprints"],
        frozen_licenses=config.get("frozen_licenses", {}),
    )


def template(name: str) -> Template:
    """A Markdown template of bundles, whose filter `plain` writes any value of a config."""
    environment = Environment(
        loader=PackageLoader("explainers.bundle"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["plain"] = _plain
    return environment.get_template(name)


def _front_matter(config: dict[str, Any], classifier: str) -> str:
    """The metadata of the hub as YAML, without what is not known."""
    on_the_hub = classifier.startswith("hf-hub:")
    metadata = ModelCardData(
        license=config.get("license"),
        library_name="learned-explainers",
        tags=["explainability", "saliency-map", "image-classification", config["class"].lower()],
        base_model=classifier.removeprefix("hf-hub:") if on_the_hub else None,
    )
    return metadata.to_yaml(original_order=HEAD, line_break="\n")


def _own_modules(hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """Code that builds each frozen network which is a module of the user's, by its name."""
    found = {}
    for name in NETWORKS:
        source = hyperparameters.get(name)
        if isinstance(source, Mapping) and str(source.get("model")).startswith("module:"):
            kind = source["model"].removeprefix("module:")
            options = "".join(
                f", {key}={value!r}" for key, value in source.items() if key != "model"
            )
            found[name] = f"FrozenClassifier(your_{kind}{options})"
    return found


def _training(record: dict[str, Any]) -> dict[str, Any]:
    """A record of a training with its durations in words, and its device beside them."""
    told: dict[str, Any] = {}
    for key, value in record.items():
        if key == "seconds":
            told["time"] = str(Training.of_record(record))
        elif key == "start":
            told["time before, of what it was started from"] = str(Training.of_record(value))
        elif key != "device":  # it is told with the seconds
            told[key] = value
    return told


def _plain(value: Any) -> str:  # noqa: ANN401  whatever a config holds
    """A value as Markdown text: code where it holds characters that Markdown would read."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"`{value}`" if isinstance(value, str) and set(value) & set("*{~") else str(value)
