"""Weight files of frozen networks in a bundle: stored by their full path, and found again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from explainers.errors import InputError

NETWORKS = ("classifier", "auxiliary")
"""Hyperparameters that are sources of frozen networks."""

FOLDER = "local-dir:"


def stored_sources(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters in which files and folders of weights have their full path."""
    return _with_paths(hyperparameters, lambda name, path: str(Path(path).absolute()))


def bare_sources(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters in which files and folders of weights have their name only, for others."""
    return _with_paths(hyperparameters, lambda name, path: Path(path).name)


def found_sources(hyperparameters: Mapping[str, Any], bundle: Path) -> dict[str, Any]:
    """Hyperparameters in which files and folders of weights are where they are now.

    They are looked for where the bundle says, a relative path being below the bundle's folder,
    the one that this is in, or the working folder; then by their name in and beside the bundle.

    Raises:
        InputError: one is in none of these places.
    """

    def find(name: str, path: str) -> str:
        given, folder = Path(path), bundle.resolve()
        places = [folder / given, folder.parent / given, Path.cwd() / given]
        places += [folder / given.name, folder.parent / given.name]
        for place in places:
            if place.exists():
                return str(place)
        way_out = (
            "give --classifier-weights FILE (classifier_weights=FILE in Python), or put them"
            if name == "classifier"
            else "put them"
        )
        raise InputError(
            f"the weights of the {name} that {bundle} was trained for are not at {places[0]}; "
            f"{way_out} into the bundle's folder"
        )

    return _with_paths(hyperparameters, find)


def _with_paths(
    hyperparameters: Mapping[str, Any], change: Callable[[str, str], str]
) -> dict[str, Any]:
    """Hyperparameters with `change(network, path)` for each path of weights."""
    changed = dict(hyperparameters)
    for name in NETWORKS:
        source = changed.get(name)
        if isinstance(source, str) and source.startswith(FOLDER):
            source = {"model": source}
        if not isinstance(source, Mapping):
            continue
        weights, model = source.get("weights"), source.get("model")
        if isinstance(weights, str) and weights.strip():
            changed[name] = {**source, "weights": change(name, weights)}
        elif isinstance(model, str) and model.startswith(FOLDER):
            path = change(name, model.removeprefix(FOLDER))
            changed[name] = {**source, "model": FOLDER + path}
    return changed
