"""The card of a bundle, made from its config.json: what it is, what it reaches, what to cite."""

from pathlib import Path
from typing import Any, NamedTuple

from explainers.evaluation.costs import Training
from explainers.evaluation.records import Row
from explainers.report.table import table
from explainers.training.bundle_files import read_config


class Paper(NamedTuple):
    """What to cite for a method."""

    key: str
    title: str
    authors: str
    arxiv: str

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry."""
        year = f"20{self.arxiv[:2]}"
        lines = {"title": f"{{{self.title}}}", "author": self.authors, "year": year}
        lines |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in lines.items())
        return f"@misc{{{self.key},\n{body}}}"


P_TAME = Paper(
    "ntrougkas2025ptame",
    "P-TAME: Explain Any Image Classifier with Trained Perturbations",
    "Ntrougkas, Mariano V. and Mezaris, Vasileios and Patras, Ioannis",
    "2501.17813",
)
TAME = Paper(
    "ntrougkas2023tame",
    "TAME: Attention Mechanism Based Feature Fusion for Generating Explanation Maps of "
    "Convolutional Neural Networks",
    "Ntrougkas, Mariano and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2301.07407",
)
T_TAME = Paper(
    "ntrougkas2024ttame",
    "T-TAME: Trainable Attention Mechanism for Explaining Convolutional Networks and Vision "
    "Transformers",
    "Ntrougkas, Mariano V. and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2403.04523",
)
L_CAM = Paper(
    "gkartzonika2022lcam",
    "Learning Visual Explanations for DCNN-Based Image Classifiers Using an Attention Mechanism",
    "Gkartzonika, Ioanna and Gkalelis, Nikolaos and Mezaris, Vasileios",
    "2209.11189",
)

METHODS = {
    "PTAME": ("P-TAME", [P_TAME]),
    "TAME": ("TAME, or T-TAME on a transformer", [TAME, T_TAME]),
    "LCAM": ("L-CAM", [L_CAM]),
    "PTAMEPlus": ("this project's variant of P-TAME", [P_TAME]),
}
"""By class: what the method is called, and its papers."""


def write_card(folder: str | Path, source: str | None = None) -> Path:
    """Write a bundle's README.md anew, from its config.json alone.

    Args:
        folder: the bundle.
        source: how the card tells users to load it; by default `checkpoints/` and its name.

    Raises:
        InputError: there is no readable config.json.
    """
    folder = Path(folder)
    config = read_config(folder / "config.json")
    path = folder / "README.md"
    path.write_text(card(folder.resolve().name, config, source, (folder / "panel.png").is_file()))
    return path


def card(name: str, config: dict[str, Any], source: str | None = None, picture: bool = True) -> str:
    """The text of a card, with the front matter that the hub reads.

    Args:
        name: of the bundle.
        config: what its config.json holds; parts that older bundles lack are left out.
        source: as of `write_card`.
        picture: whether the bundle has a panel.png.
    """
    source = source or f"checkpoints/{name}"
    kind = config["class"]
    called, papers = METHODS.get(kind, (kind, []))
    classifier = config["hyperparameters"]["classifier"]["model"]
    what = f"A {kind} explainer ({called}) of `{classifier}`:"
    does = "one pass answers where in an image the evidence for a class is."
    sections = [_front_matter(config, classifier), f"# {name}\n\n{what}\n{does}"]
    if picture:
        sections.append(
            "![image, map, overlay, what is kept, and the overlay of the second class](panel.png)"
        )
    sections += [_use(source), _scores(config), _training(config), _weights(config)]
    if papers:
        entries = "\n\n".join(paper.bibtex for paper in papers)
        arxiv = ", ".join(
            f"[{paper.title}](https://arxiv.org/abs/{paper.arxiv})" for paper in papers
        )
        sections.append(f"## Cite\n\n{arxiv}\n\n```bibtex\n{entries}\n```")
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(config: dict[str, Any], classifier: str) -> str:
    tags = ["explainability", "saliency-map", "image-classification", config["class"].lower()]
    lines = ["library_name: learned-explainers", "tags:", *(f"- {tag}" for tag in tags)]
    if "license" in config:
        lines.insert(0, f"license: {config['license']}")
    if classifier.startswith("hf-hub:"):
        lines.append(f"base_model: {classifier.removeprefix('hf-hub:')}")
    return "\n".join(["---", *lines, "---"])


def _use(source: str) -> str:
    return f"""```
explainers explain --checkpoint {source} --image photo.jpg --output maps
```

```python
from explainers.bundle.saving import load_explainer

load_explainer("{source}").explain("photo.jpg").save("maps")
```"""


def _scores(config: dict[str, Any]) -> str:
    scores: list[Row] = config.get("scores") or []
    if not scores:
        return "## Scores\n\nNone were recorded."
    protocol = config.get("protocol", {})
    lines = "\n".join(f"- {key}: {_plain(value)}" for key, value in protocol.items())
    rest = "\n\nThe rows below the first are trivial maps that explain nothing." * (len(scores) > 1)
    rows = [{k: float("nan") if v is None else v for k, v in row.items()} for row in scores]
    return f"## Scores\n\n{table(rows)}{rest}" + (f" Protocol:\n\n{lines}" if lines else "")


def _training(config: dict[str, Any]) -> str:
    lines = []
    for key, value in config.get("training", {}).items():
        if key == "seconds":
            lines.append(f"- time: {Training.of_record(config['training'])}")
        elif key == "start":
            lines.append(f"- time before, of what it was started from: {Training.of_record(value)}")
        elif key == "device":
            continue  # it is told with the seconds
        elif isinstance(value, dict):
            lines.append(f"- {key}:")
            lines += [f"    - {name}: {_plain(part)}" for name, part in value.items()]
        else:
            lines.append(f"- {key}: {_plain(value)}")
    versions = config.get("versions", {})
    if versions:
        lines.append("- by " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    return "## Training\n\n" + ("\n".join(lines) or "Nothing was recorded.")


def _weights(config: dict[str, Any]) -> str:
    licences = config.get("frozen_licenses", {})
    lines = [
        f"- `{name}`: {licences.get(name, 'licence as its source says')}; SHA-256 `{digest}`"
        for name, digest in config["fingerprints"].items()
    ]
    own = config.get("license", "licence not recorded")
    return (
        f"## Weights\n\nThe trained weights: {own}. Those of the frozen networks are not in this "
        "folder; they are\nfetched from their own sources and checked:\n\n" + "\n".join(lines)
    )


def _plain(value: Any) -> str:  # noqa: ANN401  whatever a config holds
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"`{value}`" if isinstance(value, str) and set(value) & set("*{~") else str(value)
