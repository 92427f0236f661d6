"""Imports point one way: down the floors below, never up and never in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("errors", "losses", "masking", "metrics", "drawing", "stages"),
    ("weights",),
    ("classifier",),
    ("scoring", "explanation"),
    ("scored",),
    ("base",),
    ("learned", "tokens", "embeddings", "baselines"),
    ("ptame", "ptame_plus", "tame", "lcam", "opticam", "cdam", "relevance", "ablation", "rcut"),
    ("bundle", "export", "pictures"),
    ("compare",),
    ("comparisons", "app", "commands"),
    ("cli",),
)
"""Files and packages of `explainers`, the ground first; the others stand where they fit."""

READ_DATA_SETS = ("app/server", "commands", "cli", "predicted_maps")
"""What of `explainers` knows `datamodules`; all else shares nothing with them but the batch."""


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {
    name_of(path): path
    for folder in ("explainers", "datamodules")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports(name):
    """The modules of ours that one of them imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (parts & SOURCES.keys()) or {node.module}
    return found & SOURCES.keys() - {name}


@pytest.fixture(scope="module")
def needs():
    """All that each module imports, and what that imports in turn; an error if it is a circle."""
    direct = {name: imports(name) for name in SOURCES}
    found = {}
    for name in TopologicalSorter(direct).static_order():
        found[name] = {name}.union(*(found[other] for other in direct[name]))
    return found


def within(name, place):
    """Whether a module is a file of `explainers`, or one of its packages, called `place`."""
    whole = "explainers." + place.replace("/", ".")
    return name == whole or name.startswith(f"{whole}.")


@pytest.mark.parametrize("height", range(len(FLOORS)))
def test_no_floor_needs_one_above_it(height, needs):
    above = [place for floor in FLOORS[height + 1 :] for place in floor]
    for place in FLOORS[height]:
        members = [name for name in SOURCES if within(name, place)]
        assert members, place
        for name in members:
            up = [other for other in needs[name] if any(within(other, one) for one in above)]
            assert not up, f"{name} needs {up}"


def test_data_and_explainers_meet_in_the_commands_only():
    for name in SOURCES:
        theirs = {other for other in imports(name) if other.startswith("datamodules")}
        if name.startswith("explainers") and not any(within(name, one) for one in READ_DATA_SETS):
            assert not theirs, name
        if name.startswith("datamodules"):
            assert not imports(name) - theirs, name
