"""`explainers list`."""

from explainers.cli import main
from explainers.methods import METHODS


def test_list_names_every_explainer_with_a_line_of_its_docstring(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(METHODS)
    assert all(len(line.split()) > 2 for line in lines)
