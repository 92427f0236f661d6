"""Imports point down: every file is in a room, and rooms know only their own and lower floors."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("errors", "citation", "durable_files", "moved", "shipped"),
    ("images", "from_config"),
    ("classifier", "metrics", "explanation"),
    ("base", "evaluation"),
    ("training", "baselines"),
    ("heads", "report"),
    ("methods",),
    ("bundle", "export"),
    ("callbacks", "app"),
    ("commands",),
    ("cli",),
)
"""Files and folders of `explainers`, the ground first. Those of one floor do not know each other."""

FACE = "explainers"  # loads what users import when it is first asked for, from any floor
DATA_READERS = ("images.reading", "app.server", "callbacks.map_records", "callbacks.map_writer")
"""Files of `explainers` beside the commands that know `datamodules`; the rest share the batch."""

MOST_FILES = 24  # of a folder; more are two kinds
MOST_AT_THE_ROOT = 10
MOST_LINES = 250


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {
    name_of(path): path
    for folder in ("explainers", "datamodules")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
OURS = [name for name in SOURCES if name.startswith("explainers.")]


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


def room_of(name):
    return name.split(".")[1]


def floor_of(name):
    (floor,) = (height for height, rooms in enumerate(FLOORS) if room_of(name) in rooms)
    return floor


@pytest.mark.parametrize("name", OURS)
def test_file_knows_its_own_room_and_lower_floors_only(name):
    others = {other for other in imports(name) if other.startswith("explainers.")}
    up = {
        other
        for other in others
        if room_of(other) != room_of(name) and floor_of(other) >= floor_of(name)
    }
    assert not up


def test_every_room_is_there_and_every_file_in_one():
    rooms = {room for floor in FLOORS for room in floor}
    assert {room_of(name) for name in OURS} == rooms


def test_no_files_import_each_other_in_a_circle():
    direct = {name: imports(name) - {FACE} for name in SOURCES if name != FACE}
    assert list(TopologicalSorter(direct).static_order())


def test_nothing_inside_imports_the_face_that_users_see():
    allowed = {"explainers.cli", "explainers.commands.list"}
    assert not [name for name in OURS if FACE in imports(name) and name not in allowed]


def test_data_and_explainers_meet_in_few_places():
    for name in SOURCES:
        theirs = {other for other in imports(name) if other.startswith("datamodules")}
        if name.startswith("datamodules"):
            assert not imports(name) - theirs, name
        elif theirs:
            place = name.removeprefix("explainers.")
            assert place in DATA_READERS or room_of(name) in ("commands", "cli"), name


@pytest.mark.parametrize("package", ["explainers", "datamodules", "tests", "benchmarks"])
def test_folders_and_files_are_small(package):
    folders = {}
    for path in (ROOT / package).rglob("*.py"):
        folders.setdefault(path.parent, []).append(path)
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path} has {lines} lines"
    for folder, files in folders.items():
        assert len(files) <= MOST_FILES, folder


def test_the_root_of_the_package_holds_little():
    assert len(list((ROOT / "explainers").glob("*.py"))) <= MOST_AT_THE_ROOT
