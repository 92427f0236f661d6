"""`explainers list`."""

import subprocess
import sys

import pytest

from explainers import baselines
from explainers.cli import main
from explainers.commands.list import offered
from explainers.methods import METHODS
from explainers.shipped import shipped_bundles, shipped_configs


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which no line is wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


def test_what_is_read_from_the_source_is_what_the_classes_say():
    classes = {name: getattr(baselines, name) for name in ("RISE", "CAMBaseline", "CaptumBaseline")}
    for folder, known in (("methods", METHODS), ("baselines", classes)):
        entries = offered(folder)
        assert sorted(entry.name for entry in entries) == sorted(known)
        for name, needs, summary in entries:
            assert needs == known[name].needs
            assert summary == known[name].__doc__.splitlines()[0]


def test_list_shows_explainers_baselines_and_bundles_in_aligned_columns(capsys):
    assert main(["list"]) == 0
    tables = [table.splitlines() for table in capsys.readouterr().out.split("\n\n")]
    explainers, others, bundles = ([line.split()[0] for line in table[1:]] for table in tables)
    assert sorted(explainers) == sorted(METHODS)
    assert sorted(others) == ["CAMBaseline", "CaptumBaseline", "RISE"]
    assert bundles == list(shipped_bundles())
    for table in tables[:2]:
        column = table[0].index("NEEDS")
        assert all(line[column - 2 : column] == "  " for line in table)


def test_long_lines_are_wrapped_to_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["list"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_configs_are_listed_with_their_comments(capsys):
    assert main(["list", "--configs"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(shipped_configs())
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("words", [["list"], ["list", "--configs"]])
def test_list_imports_no_torch(words):
    code = (
        f"import sys; from explainers.cli import main; main({words})\n"
        "assert not {'torch', 'lightning', 'jsonargparse'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
