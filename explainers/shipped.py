"""Configs and bundles that come with the package: beside it in a checkout, inside it in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped_configs() -> dict[str, Path]:
    """The YAML files by their names, without the suffix."""
    return {path.stem: path for path in sorted(_folder("configs").glob("*.yaml"))}


def shipped_bundles() -> dict[str, Path]:
    """The folders of trained explainers by their names."""
    found = sorted(_folder("checkpoints").glob("*/config.json"))
    return {path.parent.name: path.parent for path in found}


def config_path(source: str | Path) -> Path:
    """A config's file: `demo` and `configs/demo.yaml` name one of the package.

    A file of the user's that has the name goes before it.
    """
    path = Path(source)
    carried = shipped_configs().get(path.stem) if path.suffix in ("", ".yaml") else None
    return path if carried is None or not _names(path, "configs") or path.is_file() else carried


def bundle_path(source: str | Path) -> Path:
    """A bundle's folder: `NAME` and `checkpoints/NAME` name one of the package.

    A folder of the user's that has the name and holds a bundle goes before it.
    """
    path = Path(source)
    carried = shipped_bundles().get(path.name)
    own = carried is None or not _names(path, "checkpoints") or (path / "config.json").is_file()
    return path if own or carried is None else carried


def _names(path: Path, folder: str) -> bool:
    """Whether a path is a bare name, or one in the folder as it is called in a checkout."""
    return path.parent in (Path(), Path(folder))


def _folder(name: str) -> Path:
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
